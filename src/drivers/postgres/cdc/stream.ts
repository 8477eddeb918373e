import type { Client } from 'pg'
import type { ChangeStream, Row, SourceMessage, TableShape } from '../../../events/cdc/source.js'
import type { Catalog } from './catalog.js'
import { sourceError } from './faults.js'
import type { Feed, FeedMessage } from './feed.js'
import type { Output, Tuple } from './pgoutput.js'
import type { ValueParser } from './values.js'

/** A table as the server sends it now. */
interface Relation {
  readonly shape: TableShape
  readonly names: readonly string[]
  readonly parsers: readonly ValueParser[]
  readonly isKey: readonly boolean[]
}

type RowOutput = Extract<Output, { kind: 'insert' | 'update' | 'delete' }>

/** Changes out of a slot: what the server sends, as rows of JSON. */
export class PostgresStream implements ChangeStream {
  readonly #feed: Feed
  readonly #client: Client
  readonly #catalog: Catalog
  readonly #place: string
  readonly #relations = new Map<number, Relation>()

  constructor(feed: Feed, client: Client, catalog: Catalog, place: string) {
    this.#feed = feed
    this.#client = client
    this.#catalog = catalog
    this.#place = place
  }

  async next(): Promise<readonly SourceMessage[]> {
    try {
      const messages: SourceMessage[] = []
      for (const message of await this.#feed.next()) messages.push(await this.#translated(message))
      return messages
    } catch (error) {
      throw sourceError(error, this.#place, true)
    }
  }

  wake(): void {
    this.#feed.wake()
  }

  acknowledge(lsn: bigint): void {
    this.#feed.acknowledge(lsn)
  }

  async close(): Promise<void> {
    await this.#feed.close()
    await this.#client.end().catch(() => undefined)
  }

  #translated(message: FeedMessage): SourceMessage | Promise<SourceMessage> {
    switch (message.kind) {
      case 'begin':
      case 'commit':
      case 'progress':
        return message
      case 'relation':
        return this.#learn(message)
      case 'truncate':
        return { kind: 'truncate', tables: message.relations.map((id) => this.#relation(id).shape) }
      default:
        return this.#row(message)
    }
  }

  async #learn({ id, schema, name, columns }: Extract<Output, { kind: 'relation' }>): Promise<SourceMessage> {
    const shape = await this.#catalog.shape(id, `${schema}.${name}`, columns)
    this.#relations.set(id, {
      shape,
      names: columns.map((column) => column.name),
      parsers: await this.#catalog.parsers(columns.map(({ type }) => type)),
      isKey: columns.map(({ isKey }) => isKey),
    })
    return { kind: 'shape', table: shape }
  }

  #row(message: RowOutput): SourceMessage {
    const relation = this.#relation(message.relation)
    const { kind, bytes } = message
    const isKeyOnly = kind !== 'insert' && message.keyOnly
    const before =
      kind === 'update' && message.before ? rowOf(relation, message.before, isKeyOnly) : undefined
    const row = rowOf(relation, message.row, kind === 'delete' && isKeyOnly)
    const unchanged = kind === 'update' ? unchangedOf(relation, message.row) : NONE
    // If the whole row is told as it was before, nothing of it is missing.
    for (const name of unchanged) if (before && name in before) row[name] = before[name]
    const missing = unchanged.length === 0 ? NONE : unchanged.filter((name) => !(name in row))
    return { kind: 'row', operation: kind, table: relation.shape, row, before, unchanged: missing, bytes }
  }

  #relation(id: number): Relation {
    const relation = this.#relations.get(id)
    if (!relation) throw new Error(`the server sends rows of a table that it has not described: ${id}`)
    return relation
  }
}

const NONE: readonly string[] = []

function rowOf({ names, parsers, isKey }: Relation, tuple: Tuple, keyOnly: boolean): Record<string, unknown> {
  const row: Record<string, unknown> = {}
  for (let index = 0; index < tuple.length; index++) {
    const text = tuple[index]
    if (text === undefined || (keyOnly && !isKey[index])) continue
    set(row, names[index]!, text === null ? null : parsers[index]!(text))
  }
  return row
}

function unchangedOf({ names }: Relation, tuple: Tuple): readonly string[] {
  if (!tuple.includes(undefined)) return NONE
  return names.filter((_, index) => tuple[index] === undefined)
}

/** A column may be called `__proto__`. */
function set(row: Row, name: string, value: unknown): void {
  if (name === '__proto__')
    Object.defineProperty(row, name, { value, enumerable: true, writable: true, configurable: true })
  else (row as Record<string, unknown>)[name] = value
}
