import { balance } from '../plan/balance.js'
import { ancestorsOf, depthOf, Layout, MAX_DEPTH, MAX_LEAVES } from './layout.js'
import type { MoveReason, OwnedRecord, Plan, PlannedMove, PlanRules, Wishes } from './records.js'

/** What a plan is made of. Times are of one clock, in ms. */
export interface Situation {
  readonly buckets: number
  readonly plan: Pick<Plan, 'splits' | 'targets' | 'moves' | 'leveling'> | undefined
  readonly wishes: Wishes
  /** Who is there. */
  readonly workers: ReadonlyMap<string, PlannedWorker>
  readonly owned: ReadonlyMap<string, Pick<OwnedRecord, 'worker'>>
  /** What is known of what buckets cost; nothing, if nobody says so. */
  readonly loads: ReadonlyMap<string, number>
  readonly rules: PlanRules
  readonly now: number
  /** Since when this is watched. */
  readonly watchedSince: number
  /** Since when a worker that is not there is gone. */
  readonly goneSince: (worker: string) => number
  /** What moves are stamped with, in ms since the epoch. */
  readonly wall: number
}

/** A worker that is there. */
export interface PlannedWorker {
  readonly weight: number
  readonly draining: boolean
  /** Since when it is there. */
  readonly since: number
}

/** A bucket that is given to another worker. */
export interface MadeMove {
  readonly bucket: string
  /** Undefined if nobody has had it. */
  readonly from: string | undefined
  readonly to: string
  readonly why: MoveReason
}

/** What comes next. */
export interface NextPlan {
  readonly splits: readonly string[]
  readonly targets: readonly (string | undefined)[]
  /** Those that are on their way. */
  readonly moves: readonly PlannedMove[]
  readonly leveling: boolean
  /** What is different from the plan before, in the order in which it was decided. */
  readonly made: readonly MadeMove[]
  /** Workers that should have buckets and are not there. */
  readonly gone: readonly string[]
  /** When something is to be looked at again, although nothing has changed. */
  readonly lookAt: number
}

/** What a bucket counts at least, as a part of what they do on average: those without load are to be spread, too. */
const LEAST = 0.01

/**
 * Which worker shall have which bucket, as things are now: what is already so, and a few moves on top. Deciding nothing but from what
 * is to be seen, it can be asked at any time by anybody, and whoever takes over goes on where the one before has stopped.
 */
export function nextPlan(situation: Situation): NextPlan {
  return new Planning(situation).next()
}

class Planning {
  readonly #situation: Situation
  readonly #layout: Layout
  readonly #targets: (string | undefined)[]
  readonly #owners: readonly (string | undefined)[]
  readonly #made = new Map<string, MadeMove>()
  readonly #gone = new Set<string>()
  readonly #flying = new Map<string, PlannedMove>()
  /** Places of buckets that are looked at, and what {@link balance} is to know of them. */
  readonly #places: number[] = []
  readonly #bases: (string | undefined)[] = []
  readonly #fixed = new Set<number>()
  /** Why they have to go, by place. */
  readonly #homeless = new Map<number, 'new' | 'gone' | 'drain'>()
  #lookAt = Infinity

  constructor(situation: Situation) {
    this.#situation = situation
    const { buckets, wishes, plan, owned } = situation
    this.#layout = askedLayout(buckets, wishes)
    const before = new Layout(buckets, plan?.splits)
    this.#targets = this.#layout.leaves.map(targetsBefore(before, plan?.targets ?? []))
    this.#owners = this.#layout.leaves.map((leaf) => owned.get(leaf)?.worker)
  }

  next(): NextPlan {
    this.#findFlying()
    for (const [place, leaf] of this.#layout.leaves.entries()) this.#sort(place, leaf)
    const leveling = this.#level()
    return {
      splits: [...this.#layout.splits].sort(),
      targets: this.#targets,
      moves: [...this.#flying.values()],
      leveling,
      made: [...this.#made.values()],
      gone: [...this.#gone],
      lookAt: this.#lookAt,
    }
  }

  /** Moves that have been planned before, and have not arrived. */
  #findFlying(): void {
    const { plan, owned, workers } = this.#situation
    for (const move of plan?.moves ?? []) {
      const isThere = owned.get(move.bucket)?.worker === move.to
      if (!isThere && this.#layout.hasLeaf(move.bucket) && workers.has(move.to))
        this.#flying.set(move.bucket, move)
    }
  }

  /** Finds out what is to be done about one bucket. */
  #sort(place: number, leaf: string): void {
    const { workers, wishes, watchedSince, goneSince } = this.#situation
    const target = this.#targets[place]
    const owner = this.#owners[place]
    const pinned = wishes.pins[leaf]?.to
    if (pinned !== undefined && pinned !== target && this.#canHave(pinned) && !wishes.paused) {
      this.#move(place, pinned, 'pinned')
      this.#stays(place, pinned, true)
    } else if (target !== undefined && this.#canHave(target))
      this.#stays(place, target, pinned === target || owner !== target)
    else if (target !== undefined && workers.has(target)) {
      if (!wishes.paused) this.#hasToGo(place, 'drain')
    } else if (owner !== undefined && this.#canHave(owner)) {
      // It was on its way to somebody who is gone, or the plan is lost.
      this.#targets[place] = owner
      this.#flying.delete(leaf)
      this.#stays(place, owner, pinned === owner)
    } else {
      if (target !== undefined) this.#gone.add(target)
      const since = target === undefined ? watchedSince : goneSince(target)
      if (this.#isSettled(since)) this.#hasToGo(place, target === undefined ? 'new' : 'gone')
    }
  }

  /** Whether what has changed then may have consequences; otherwise it is to be looked at again when it may. */
  #isSettled(since: number): boolean {
    const at = since + this.#situation.rules.settle
    if (this.#situation.now >= at) return true
    this.#lookAt = Math.min(this.#lookAt, at)
    return false
  }

  #stays(place: number, worker: string, isFixed: boolean): void {
    if (isFixed) this.#fixed.add(this.#bases.length)
    this.#places.push(place)
    this.#bases.push(worker)
  }

  #hasToGo(place: number, why: 'new' | 'gone' | 'drain'): void {
    this.#homeless.set(place, why)
    this.#places.push(place)
    this.#bases.push(undefined)
  }

  /** Gives out what nobody has, and then levels. @returns whether there is more to level */
  #level(): boolean {
    const { workers, rules, wishes, plan } = this.#situation
    const able = [...workers].filter(([id]) => this.#canHave(id))
    const latest = able.reduce((last, [, { since }]) => Math.max(last, since), -Infinity)
    const isSettled = this.#isSettled(latest) && this.#gone.size === 0
    const budget = this.#budget()
    const mayLevel = isSettled && !wishes.paused && budget > 0
    const isUrgent = [...this.#homeless.values()].some((why) => why !== 'drain' || budget > 0)
    const leveling = plan?.leveling ?? false
    if (!isUrgent && !mayLevel) return leveling
    const input = {
      owners: this.#bases,
      workers: able.map(([id, { weight }]) => ({ id, weight })),
      loads: this.#loads(),
      fixed: this.#fixed,
    }
    // Once it has begun it goes on until everybody is well within: or it would begin again at once.
    const narrow = { ...input, tolerance: rules.tolerance / 2 }
    const first = leveling ? narrow : { ...input, tolerance: rules.tolerance }
    let moves = [...take(balance(first), budget + this.#homeless.size + 1)]
    if (!leveling && mayLevel && moves.some(({ from }) => from !== undefined))
      moves = [...take(balance(narrow), budget + this.#homeless.size + 1)]
    let left = budget
    let isDraining = false
    for (const { bucket: index, from, to } of moves) {
      const place = this.#places[index]!
      const why = this.#homeless.get(place) ?? 'balance'
      if (why === 'new' || why === 'gone') this.#move(place, to, why)
      else if (left > 0 && (from === undefined || mayLevel)) {
        left--
        this.#move(place, to, why)
      }
      // What nobody has comes behind it, and does not wait for it.
      else if (why === 'drain') isDraining = true
      else return isDraining ? leveling : mayLevel
    }
    return mayLevel && !isDraining ? false : leveling
  }

  /** How many may be moved now. Some at a time, so that the plan is written seldom. */
  #budget(): number {
    const { movesAtOnce } = this.#situation.rules
    const left = movesAtOnce - this.#flying.size
    return this.#flying.size > movesAtOnce / 2 ? 0 : Math.max(0, left)
  }

  #move(place: number, to: string, why: MoveReason): void {
    const bucket = this.#layout.leaves[place]!
    const from = this.#owners[place] ?? this.#targets[place]
    this.#targets[place] = to
    this.#flying.delete(bucket)
    if (from === to) return
    this.#made.set(bucket, { bucket, from, to, why })
    if (from !== undefined && why !== 'gone')
      this.#flying.set(bucket, { bucket, from, to, since: this.#situation.wall, why })
  }

  #canHave(worker: string): boolean {
    return this.#situation.workers.get(worker)?.draining === false
  }

  /** What each of the buckets that are looked at costs. */
  #loads(): number[] {
    const { loads } = this.#situation
    const leaves = this.#places.map((place) => this.#layout.leaves[place]!)
    if (loads.size === 0) return leaves.map((leaf) => 2 ** -depthOf(leaf))
    const mean = [...loads.values()].reduce((sum, load) => sum + load, 0) / loads.size
    const least = mean > 0 ? mean * LEAST : 1
    return leaves.map((leaf) => Math.max(least, loadOf(leaf, loads) ?? mean))
  }
}

/** What is known of a bucket: for one that was just split, a part of what that did. */
function loadOf(leaf: string, loads: ReadonlyMap<string, number>): number | undefined {
  const own = loads.get(leaf)
  if (own !== undefined) return own
  for (const [index, ancestor] of ancestorsOf(leaf).entries()) {
    const load = loads.get(ancestor)
    if (load !== undefined) return load / 2 ** (index + 1)
  }
  return undefined
}

/** Which buckets there are to be: of the splits that are asked for, those that can be made. */
export function askedLayout(buckets: number, { splits }: Pick<Wishes, 'splits'>): Layout {
  const layout = new Layout(buckets)
  if (splits.length === 0) return layout
  const made = new Set<string>()
  // What is split first is not a part of anything.
  for (const bucket of [...splits].sort((a, b) => a.length - b.length)) {
    const isThere = ancestorsOf(bucket).every((each) => made.has(each)) && layout.hasRoot(bucket)
    if (isThere && depthOf(bucket) < MAX_DEPTH && buckets + made.size < MAX_LEAVES) made.add(bucket)
  }
  return new Layout(buckets, made)
}

/** Who should have had a bucket: that one, or what it is a part of, or the first of its parts. */
function targetsBefore(
  layout: Layout,
  targets: readonly (string | undefined)[],
): (leaf: string) => string | undefined {
  const before = new Map(layout.leaves.map((leaf, place) => [leaf, targets[place]]))
  return (leaf) => {
    if (before.has(leaf)) return before.get(leaf)
    const [near] = layout.leavesNear(leaf)
    return near === undefined ? undefined : before.get(near)
  }
}

function* take<Value>(values: Iterable<Value>, count: number): Generator<Value, void, undefined> {
  let left = count
  if (left > 0)
    for (const value of values) {
      yield value
      if (--left === 0) return
    }
}
