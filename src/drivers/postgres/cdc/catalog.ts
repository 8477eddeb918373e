import type { Client } from 'pg'
import type { TableShape } from '../../../events/cdc/source.js'
import type { RelationColumn } from './pgoutput.js'
import { isKnownType, parserOf, type TypeInfo, type ValueParser } from './values.js'

/** What the catalog says of tables and types, asked on a connection that is free. */
export class Catalog {
  readonly #client: Client
  readonly #types = new Map<number, TypeInfo>()

  constructor(client: Client) {
    this.#client = client
  }

  /** A parser for each type. Types that are gone from the catalog stay text. */
  async parsers(oids: readonly number[]): Promise<ValueParser[]> {
    let unknown = oids.filter((oid) => !this.#isKnown(oid))
    while (unknown.length > 0) {
      const { rows } = await this.#client.query<TypeInfo>(TYPES, [unknown])
      for (const oid of unknown) this.#types.set(oid, { oid, element: 0, base: 0, delimiter: ',' })
      for (const row of rows) this.#types.set(row.oid, row)
      unknown = rows
        .flatMap(({ element, base }) => [element, base])
        .filter((oid) => oid !== 0 && !this.#isKnown(oid))
    }
    return oids.map((oid) => parserOf(oid, this.#types))
  }

  /** Names of types, as `integer`. */
  async typeNames(oids: readonly number[]): Promise<string[]> {
    const { rows } = await this.#client.query<{ name: string }>(
      'SELECT format_type(oid, NULL) AS name FROM unnest($1::oid[]) WITH ORDINALITY AS t (oid, n) ORDER BY n',
      [oids],
    )
    return rows.map(({ name }) => name)
  }

  async shape(id: number, name: string, columns: readonly RelationColumn[]): Promise<TableShape> {
    const types = await this.typeNames(columns.map(({ type }) => type))
    return {
      id,
      name,
      columns: columns.map((column, index) => ({ name: column.name, type: types[index]! })),
      key: columns.filter(({ isKey }) => isKey).map((column) => column.name),
    }
  }

  #isKnown(oid: number): boolean {
    return isKnownType(oid) || this.#types.has(oid)
  }
}

const TYPES = `
  SELECT oid::int8::float8 AS oid, typdelim AS delimiter,
         CASE WHEN typcategory = 'A' THEN typelem ELSE 0 END::int8::float8 AS element,
         typbasetype::int8::float8 AS base
    FROM pg_type WHERE oid = ANY ($1::oid[])`
