/** Between 1970 and 2000, in ms: times of PostgreSQL begin with the latter. */
const EPOCH_MS = 946_684_800_000

/** A tuple as it is sent: text, null, or undefined for a value that is not sent as it has not changed. */
export type Tuple = readonly (string | null | undefined)[]

export interface RelationColumn {
  readonly name: string
  readonly type: number
  readonly isKey: boolean
}

/** What a server says with pgoutput, version 1. */
export type Output =
  | { readonly kind: 'begin'; readonly lsn: bigint; readonly committed: number; readonly xid: number }
  | { readonly kind: 'commit'; readonly end: bigint }
  | {
      readonly kind: 'relation'
      readonly id: number
      readonly schema: string
      readonly name: string
      readonly columns: readonly RelationColumn[]
    }
  | { readonly kind: 'insert'; readonly relation: number; readonly row: Tuple; readonly bytes: number }
  | {
      readonly kind: 'update' | 'delete'
      readonly relation: number
      readonly row: Tuple
      /** Of an update only if the server sends it. */
      readonly before: Tuple | undefined
      /** Whether `before`, or the row of a delete, has only the columns of the key. */
      readonly keyOnly: boolean
      readonly bytes: number
    }
  | { readonly kind: 'truncate'; readonly relations: readonly number[] }

const BEGIN = 0x42
const COMMIT = 0x43
const DELETE = 0x44
const INSERT = 0x49
const KEY = 0x4b
const NEW = 0x4e
const RELATION = 0x52
const TRUNCATE = 0x54
const UPDATE = 0x55
const NULL = 0x6e
const UNCHANGED = 0x75

/**
 * Decodes a message of pgoutput (PostgreSQL documentation, "Logical Replication Message Formats"). Everything is taken out of
 * the buffer: that is used again for what comes next.
 *
 * @returns undefined for what says nothing of rows: origins, types
 */
export function decodeOutput(buffer: Buffer): Output | undefined {
  switch (buffer[0]) {
    case BEGIN:
      return {
        kind: 'begin',
        lsn: buffer.readBigUInt64BE(1),
        committed: timeOf(buffer.readBigInt64BE(9)),
        xid: buffer.readUInt32BE(17),
      }
    case COMMIT:
      return { kind: 'commit', end: buffer.readBigUInt64BE(10) }
    case RELATION:
      return new Reader(buffer, 1).relation()
    case INSERT:
      return {
        kind: 'insert',
        relation: buffer.readUInt32BE(1),
        row: new Reader(buffer, 6).tuple(),
        bytes: buffer.length,
      }
    case UPDATE:
      return updateOf(buffer)
    case DELETE: {
      const row = new Reader(buffer, 6).tuple()
      const keyOnly = buffer[5] === KEY
      return {
        kind: 'delete',
        relation: buffer.readUInt32BE(1),
        row,
        before: undefined,
        keyOnly,
        bytes: buffer.length,
      }
    }
    case TRUNCATE: {
      const count = buffer.readUInt32BE(1)
      const relations = Array.from({ length: count }, (_, index) => buffer.readUInt32BE(6 + 4 * index))
      return { kind: 'truncate', relations }
    }
    default:
      return undefined
  }
}

function updateOf(buffer: Buffer): Output {
  const relation = buffer.readUInt32BE(1)
  const reader = new Reader(buffer, 6)
  const bytes = buffer.length
  if (buffer[5] === NEW)
    return { kind: 'update', relation, row: reader.tuple(), before: undefined, keyOnly: false, bytes }
  const before = reader.tuple()
  reader.skip(1)
  return { kind: 'update', relation, row: reader.tuple(), before, keyOnly: buffer[5] === KEY, bytes }
}

/** ms since 1970 of microseconds since 2000. */
function timeOf(micros: bigint): number {
  return EPOCH_MS + Number(micros / 1000n)
}

class Reader {
  readonly #buffer: Buffer
  #at: number

  constructor(buffer: Buffer, at: number) {
    this.#buffer = buffer
    this.#at = at
  }

  skip(bytes: number): void {
    this.#at += bytes
  }

  relation(): Output {
    const id = this.#buffer.readUInt32BE(this.#at)
    this.skip(4)
    const schema = this.#text()
    const name = this.#text()
    // Its replica identity; what is of the key says each column.
    this.skip(1)
    const count = this.#count()
    const columns: RelationColumn[] = []
    for (let index = 0; index < count; index++) {
      const isKey = (this.#buffer[this.#at]! & 1) === 1
      this.skip(1)
      const column = this.#text()
      columns.push({ name: column, type: this.#buffer.readUInt32BE(this.#at), isKey })
      this.skip(8)
    }
    // The system catalog has no name there.
    return { kind: 'relation', id, schema: schema === '' ? 'pg_catalog' : schema, name, columns }
  }

  tuple(): Tuple {
    const count = this.#count()
    const values = new Array<string | null | undefined>(count)
    for (let index = 0; index < count; index++) {
      const kind = this.#buffer[this.#at]
      this.#at += 1
      if (kind === NULL) values[index] = null
      else if (kind !== UNCHANGED) {
        const length = this.#buffer.readUInt32BE(this.#at)
        this.#at += 4
        values[index] = this.#buffer.toString('utf8', this.#at, this.#at + length)
        this.#at += length
      }
    }
    return values
  }

  #count(): number {
    const count = this.#buffer.readUInt16BE(this.#at)
    this.#at += 2
    return count
  }

  #text(): string {
    const end = this.#buffer.indexOf(0, this.#at)
    const text = this.#buffer.toString('utf8', this.#at, end)
    this.#at = end + 1
    return text
  }
}
