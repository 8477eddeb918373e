import { hashText } from '../../../core/hashing/hash.js'
import { bucketOfHash } from '../buckets.js'
import { SpaceSaving } from '../heat/space-saving.js'
import { Distinct } from './distinct.js'

/** A row of a sample: columns by name. */
export type SampleRow = Readonly<Record<string, unknown>>

/** Values that are counted by themselves: one with more than 1/256 of the rows is found. */
const TOP = 256

/** What was seen of one column, or of two together. */
export interface CandidateFacts {
  /** What part of the rows has no value: null, undefined, or what cannot be a key, as objects cannot. */
  readonly missing: number
  /** How many different values; to within some hundredths. */
  readonly distinct: number
  /** The most frequent value, if it has more than 1/256 of the rows, and what part of them it has. */
  readonly top: { readonly value: string; readonly share: number } | undefined
  /** Rows of the fullest shard, as a multiple of the mean. */
  readonly fullest: number
  /** Whether each row has a higher value than the one before, as sequences and times of insertion have. */
  readonly rises: boolean
  /** Whether the values are points in time. */
  readonly isTime: boolean
  /** What part of the later versions of rows has another value than the version before; undefined if not known. */
  readonly changes: number | undefined
}

/** Looks at the values of one column, or of two, row by row, in memory that does not grow. */
export class Candidate {
  readonly columns: readonly string[]
  readonly #distinct = new Distinct()
  readonly #top = new SpaceSaving(TOP)
  readonly #shards: Float64Array
  #rows = 0
  #missing = 0
  #ups = 0
  #times = 0
  #last: unknown
  #versions = 0
  #changed = 0

  constructor(columns: readonly string[], shards: number) {
    this.columns = columns
    this.#shards = new Float64Array(shards)
  }

  /** @returns the hash of its value, or undefined if the row has none */
  add(row: SampleRow): number | undefined {
    this.#rows++
    const key = keyOf(row, this.columns)
    if (key === undefined) {
      this.#missing++
      return undefined
    }
    const hash = hashText(key)
    this.#distinct.add(hash)
    this.#top.add(key, hash, 1)
    this.#shards[bucketOfHash(hash, this.#shards.length)]!++
    if (this.columns.length === 1) this.#follow(row[this.columns[0]!])
    return hash
  }

  /** A row was seen again. */
  again(hasChanged: boolean): void {
    this.#versions++
    if (hasChanged) this.#changed++
  }

  facts(): CandidateFacts {
    const present = this.#rows - this.#missing
    const [top] = this.#top
      .list()
      .map(({ key, count, error }) => ({ value: key, share: (count - error) / this.#rows }))
      .sort((a, b) => b.share - a.share)
    return {
      missing: this.#missing / this.#rows,
      distinct: Math.min(present, this.#distinct.estimate()),
      top: top && top.share > 1 / TOP ? top : undefined,
      fullest: present === 0 ? 0 : (Math.max(...this.#shards) * this.#shards.length) / present,
      // A few are out of order where several insert at once.
      rises: present > 2 && this.#ups / (present - 1) > 0.9,
      isTime: present > 0 && this.#times === present,
      changes: this.#versions === 0 ? undefined : this.#changed / this.#versions,
    }
  }

  #follow(value: unknown): void {
    if (value instanceof Date || (typeof value === 'string' && ISO_TIME.test(value))) this.#times++
    const last = this.#last
    this.#last = value
    if (last === undefined || typeof last !== typeof value) return
    if ((last as number) < (value as number)) this.#ups++
  }
}

const ISO_TIME = /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d|$)/

/** The values of some columns as one key; undefined if one of them is none. */
export function keyOf(row: SampleRow, columns: readonly string[]): string | undefined {
  if (columns.length === 1) return textOf(row[columns[0]!])
  const texts: string[] = []
  for (const column of columns) {
    const text = textOf(row[column])
    if (text === undefined) return undefined
    texts.push(text)
  }
  return JSON.stringify(texts)
}

function textOf(value: unknown): string | undefined {
  switch (typeof value) {
    case 'string':
      return value
    case 'number':
    case 'bigint':
    case 'boolean':
      return String(value)
    default:
      return value instanceof Date && !Number.isNaN(value.getTime()) ? value.toISOString() : undefined
  }
}
