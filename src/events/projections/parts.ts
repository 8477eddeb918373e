import { bucketOf } from '../../core/hashing/buckets.js'
import { eventError } from '../errors.js'
import type { EventLog, Position, RecordedEvent, Selector } from '../log.js'
import { START } from '../position.js'
import { isSystemStream } from '../transform.js'
import { describeVersion, fromRow, type Checkpoint } from './checkpoint.js'
import type { AnyProjection } from './projection.js'
import type { CheckpointRow, ReadModelStore, StoreView } from './store.js'

/*
 * A projection with buckets has a row for each beside its own, which is called `turnover/3` and has a position of its own. Its own
 * row says which tables there are and which version is read, and never moves.
 */

/** What gives the key of an event; by default that is its stream. */
export type KeyOf = ((event: RecordedEvent) => string) | undefined

/** The name of the row of a bucket. */
export function partName(name: string, bucket: number): string {
  return `${name}/${bucket}`
}

/** The projection that a row is of. */
export function wholeName(name: string): string {
  const slash = name.indexOf('/')
  return slash === -1 ? name : name.slice(0, slash)
}

/** The projection as it runs for one bucket. */
export function partOf<Db>(projection: AnyProjection<Db>, bucket: number): AnyProjection<Db> {
  const part = { bucket, buckets: projection.buckets! }
  return { ...projection, name: partName(projection.name, bucket), part }
}

/** The bucket of an event. */
export function bucketOfEvent(event: RecordedEvent, key: KeyOf, buckets: number): number {
  return bucketOf(key?.(event) ?? event.stream, buckets)
}

/** The rows of the buckets of a version, by bucket; those that were never run have none. */
export async function partsOf(
  view: StoreView<unknown>,
  { name, version, details }: Pick<Checkpoint, 'name' | 'version' | 'details'>,
): Promise<(Checkpoint | undefined)[]> {
  return partsIn(await view.rows(), { name, version, details })
}

/** The same, of rows that were read. */
export function partsIn(
  rows: readonly CheckpointRow[],
  { name, version, details }: Pick<Checkpoint, 'name' | 'version' | 'details'>,
  decode: (row: CheckpointRow) => Checkpoint = fromRow,
): (Checkpoint | undefined)[] {
  const byName = new Map(rows.filter((row) => row.version === version).map((row) => [row.name, row]))
  return Array.from({ length: details.buckets ?? 0 }, (_, bucket) => {
    const row = byName.get(partName(name, bucket))
    return row && decode(row)
  })
}

/** What the rows are called that are run of a version: its own, or those of its buckets. */
export async function namesOfRows(
  store: ReadModelStore<unknown>,
  name: string,
  version: number,
): Promise<string[]> {
  const [row] = (await store.read((view) => view.rows(name))).filter((each) => each.version === version)
  const { buckets } = row ? fromRow(row).details : {}
  return buckets === undefined
    ? [name]
    : Array.from({ length: buckets }, (_, bucket) => partName(name, bucket))
}

/** A row as its buckets make it: as far as the last of them, and as well as the worst. */
export function wholeOf(row: Checkpoint, parts: readonly (Checkpoint | undefined)[]): Checkpoint {
  if (parts.length === 0) return row
  let { position, state, owner, updated, details } = { ...row, position: parts[0]?.position ?? START }
  state = 'running'
  owner = parts[0]?.owner ?? ''
  for (const part of parts) {
    if ((part?.position ?? START) < position) position = part?.position ?? START
    if (part?.state === 'failed') {
      state = 'failed'
      details = { ...details, ...(part.details.error !== undefined && { error: part.details.error }) }
    } else if (part?.state !== 'running' && state !== 'failed') state = 'rebuilding'
    if (!part || part.owner === '') owner = ''
    if (part && part.updated > updated) updated = part.updated
  }
  return { ...row, position, state, owner, updated, details }
}

/** Until which event each bucket must have come so that everything up to a position is there. */
export class PartGoal {
  readonly after: Position
  readonly #log: EventLog
  readonly #select: Selector
  readonly #buckets: number
  readonly #key: KeyOf
  /** The last event of a bucket. */
  readonly #needs = new Map<number, Position>()
  /** What is behind it, up to the goal, was looked at. */
  #looked: Position

  constructor(log: EventLog, select: Selector, buckets: number, key: KeyOf, after: Position) {
    this.#log = log
    this.#select = select
    this.#buckets = buckets
    this.#key = key
    this.after = this.#looked = after
  }

  /** Whether a bucket has come so far; it must have been looked for. */
  isReached(bucket: number, position: Position): boolean {
    return position >= this.after || position >= (this.#needs.get(bucket) ?? this.#looked)
  }

  /** Looks for the last events of buckets whose positions are these. */
  async look(positions: ReadonlyMap<number, Position>): Promise<void> {
    const open = new Map([...positions].filter(([bucket, position]) => !this.isReached(bucket, position)))
    for (const bucket of open.keys()) if (this.#needs.has(bucket)) open.delete(bucket)
    const least = (): Position => [...open.values()].reduce((a, b) => (a < b ? a : b), this.#looked)
    let floor = least()
    if (open.size === 0 || floor >= this.#looked) return
    const options = { to: this.#looked, backwards: true, faults: 'give' } as const
    for await (const event of this.#log.read(this.#select, options)) {
      if (event.position <= floor) break
      if (isSystemStream(event.stream)) continue
      const bucket = bucketOfEvent(event, this.#key, this.#buckets)
      if (!this.#needs.has(bucket)) this.#needs.set(bucket, event.position)
      if (!open.delete(bucket)) continue
      floor = least()
      if (open.size === 0) {
        // What is before this event was not looked at, and the event itself was.
        this.#looked = event.position
        return
      }
    }
    this.#looked = floor
  }
}

/**
 * Refuses a version whose events were in other buckets.
 *
 * @throws `BANYAN_READ_MODEL_CORRUPT`
 */
export function mustHaveBuckets(row: Checkpoint, { buckets, key }: AnyProjection<never>): void {
  const [was, is] = [inWords(row.details.buckets, row.details.keyed), inWords(buckets, key !== undefined)]
  if (was === is) return
  throw eventError(
    'BANYAN_READ_MODEL_CORRUPT',
    `${describeVersion(row)} was set up with ${was}, and has ${is} now: events would be in another one. Give it a new version`,
  )
}

function inWords(buckets: number | undefined, isKeyed = false): string {
  if (buckets === undefined) return 'no buckets'
  return `${buckets} buckets by ${isKeyed ? 'a key function' : 'stream'}`
}
