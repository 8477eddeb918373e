import type { Entry } from '../../coordinator.js'
import { fieldsOf } from '../../line/member.js'
import { isBucket } from './layout.js'

/** A worker, as its key tells. */
export interface WorkerRecord {
  readonly worker: string
  /** Which process it is, as others may come under the same name. */
  readonly incarnation: string
  readonly weight: number
  readonly metadata: Readonly<Record<string, unknown>>
  /** It wants to give away what it has. */
  readonly draining: boolean
  /** It was closed, and is still there only because some of its work does not end. */
  readonly leaving: boolean
  /** In ms since the epoch. */
  readonly since: number
  /** Buckets whose work should have ended, and since when, in ms since the epoch. */
  readonly releasing: Readonly<Record<string, number>>
}

/** Who owns a bucket, as its key tells. */
export interface OwnedRecord {
  readonly bucket: string
  readonly worker: string
  /** What tells this ownership from all others. */
  readonly claim: string
  /** Of the change that made it: the fencing token. The key is never changed, only put and deleted. */
  readonly epoch: number
  /** In ms since the epoch. */
  readonly since: number
}

/** Why a bucket is given to another worker. */
export type MoveReason =
  /** Nobody has had it yet. */
  | 'new'
  /** Who had it is gone. */
  | 'gone'
  /** Who has it gives all away. */
  | 'drain'
  /** An operator has said so. */
  | 'pinned'
  /** So that everybody has its part. */
  | 'balance'

/** A bucket that is on its way from one worker to another. */
export interface PlannedMove {
  readonly bucket: string
  readonly from: string
  readonly to: string
  /** In ms since the epoch. */
  readonly since: number
  readonly why: MoveReason
}

/** How moves are planned. */
export interface PlanRules {
  /** How many buckets may be on their way at the same time. */
  readonly movesAtOnce: number
  /** How long workers must have been there, or gone, before anything moves for that, in ms. */
  readonly settle: number
  /** How far a worker may be from its part before anything moves for that, as a part of it. */
  readonly tolerance: number
}

/** Which worker shall have which bucket. */
export interface Plan {
  /** Rises with each. */
  readonly version: number
  /** The token of the term of who has written it. */
  readonly term: number
  /** Who has written it. */
  readonly by: string
  /** In ms since the epoch. */
  readonly at: number
  readonly rules: PlanRules
  readonly splits: readonly string[]
  /** For each bucket that has keys, in the order of their ranges; undefined for nobody. */
  readonly targets: readonly (string | undefined)[]
  /** Those that have not arrived when it was written. */
  readonly moves: readonly PlannedMove[]
  /** Workers that should have buckets and are not there, and since when, in ms since the epoch. */
  readonly gone: Readonly<Record<string, number>>
  /** Whether somebody was so far from its part that moves have begun: they go on until everybody is well within. */
  readonly leveling: boolean
}

/** What operators ask for. */
export interface Wishes {
  readonly paused?: { readonly by: string; readonly at: number } | undefined
  /** Which bucket is to be at which worker. */
  readonly pins: Readonly<Record<string, Pin>>
  /** Which buckets are to be split. */
  readonly splits: readonly string[]
  /** Which workers are to give away what they have. */
  readonly drains: Readonly<Record<string, DrainWish>>
}

/** An operator wants a bucket to be at a worker. */
export interface Pin {
  readonly to: string
  readonly by: string
  /** In ms since the epoch. */
  readonly at: number
}

/** An operator wants a worker to give away what it has. */
export interface DrainWish {
  /** Which process is meant: who comes later under the same name is not. */
  readonly incarnation: string
  readonly by: string
  /** In ms since the epoch. */
  readonly at: number
}

export const NO_WISHES: Wishes = { pins: {}, splits: [], drains: {} }

/** What is stored of a plan: names of workers stand in it once. */
type StoredPlan = Omit<Plan, 'targets' | 'moves'> & {
  readonly workers: readonly string[]
  /** Places in `workers`; -1 for nobody. */
  readonly targets: readonly number[]
  readonly moves: readonly (readonly [
    bucket: string,
    from: number,
    to: number,
    since: number,
    why: MoveReason,
  ])[]
}

export function encodePlan({ targets, moves, ...rest }: Plan): string {
  const places = new Map<string, number>()
  const place = (worker: string | undefined): number => {
    if (worker === undefined) return -1
    const found = places.get(worker) ?? places.size
    places.set(worker, found)
    return found
  }
  const stored: StoredPlan = {
    ...rest,
    targets: targets.map(place),
    moves: moves.map(({ bucket, from, to, since, why }) => [bucket, place(from), place(to), since, why]),
    workers: [...places.keys()],
  }
  return JSON.stringify(stored)
}

/** The plan that a key has; undefined for what is none. */
export function planIn(entry: Pick<Entry, 'value'> | undefined): Plan | undefined {
  if (!entry) return undefined
  const stored = fieldsOf(entry) as Partial<StoredPlan>
  const { workers, targets, moves, rules } = stored
  if (!Array.isArray(workers) || !Array.isArray(targets) || !Array.isArray(moves) || !rules) return undefined
  return {
    ...(stored as StoredPlan),
    targets: (stored as StoredPlan).targets.map((place) => (stored as StoredPlan).workers[place]),
    moves: (stored as StoredPlan).moves.map(([bucket, from, to, since, why]) => ({
      bucket,
      from: (stored as StoredPlan).workers[from]!,
      to: (stored as StoredPlan).workers[to]!,
      since,
      why,
    })),
  }
}

/** What operators ask for, as its key tells. */
export function wishesIn(entry: Pick<Entry, 'value'> | undefined): Wishes {
  if (!entry) return NO_WISHES
  const { pins, splits, drains, paused } = fieldsOf(entry) as Partial<Wishes>
  return {
    pins: typeof pins === 'object' ? pins : {},
    splits: Array.isArray(splits) ? splits.filter(isBucket) : [],
    drains: typeof drains === 'object' ? drains : {},
    ...(typeof paused === 'object' && { paused }),
  }
}

/** With how many buckets a map was made. */
export function bucketsIn(entry: Pick<Entry, 'value'> | undefined): number | undefined {
  const buckets = entry && fieldsOf(entry)['buckets']
  return typeof buckets === 'number' ? buckets : undefined
}

/** A worker, as its key tells. */
export function workerIn(entry: Pick<Entry, 'value'>, worker: string): WorkerRecord {
  const fields = fieldsOf(entry) as Partial<WorkerRecord>
  const { incarnation = '', weight = 1, metadata = {}, draining = false, leaving = false } = fields
  const { since = 0, releasing = {} } = fields
  return { worker, incarnation, weight, metadata, draining, leaving, since, releasing }
}

export function encodeOwner(record: Pick<OwnedRecord, 'worker' | 'claim' | 'since'>): string {
  return JSON.stringify(record)
}

/** Who owns a bucket, as its key tells. */
export function ownerIn(entry: Entry, bucket: string): OwnedRecord {
  const { worker = '', claim = '', since = 0 } = fieldsOf(entry) as Partial<OwnedRecord>
  return { bucket, worker, claim, epoch: entry.revision, since }
}

/** What buckets cost, as a worker says. */
export function loadsIn(entry: Pick<Entry, 'value'>): ReadonlyMap<string, number> {
  return new Map(
    Object.entries(fieldsOf(entry)).filter(
      (load): load is [string, number] => isBucket(load[0]) && typeof load[1] === 'number' && load[1] >= 0,
    ),
  )
}
