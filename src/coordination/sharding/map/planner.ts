import type { Duration } from '../../../core/duration.js'
import type { Timer } from '../../../core/clock.js'
import type { Coordinator } from '../../coordinator.js'
import { elect, type Election } from '../../election/election.js'
import { isPassing } from '../../errors.js'
import { unless } from '../../line/limit.js'
import { onAbort } from '../../on-abort.js'
import { patiently } from '../../patiently.js'
import type { Board, BoardChange } from './board.js'
import { rememberShards } from './history.js'
import { plannerOf } from './keys.js'
import { PlannerMeter } from './meter.js'
import { nextPlan, type MadeMove, type NextPlan } from './next-plan.js'
import { usualMovesAtOnce } from './options.js'
import { encodePlan, planIn, type MoveReason, type Plan, type PlanRules } from './records.js'

/** How a {@link Planner} is. */
export interface PlannerOptions {
  readonly worker: string
  readonly ttl: Duration | undefined
  readonly rules: Omit<PlanRules, 'movesAtOnce'>
  readonly movesAtOnce: number | undefined
  readonly buckets: number
}

/** How long after a change it is looked at what that means, in ms: more may come with it. */
const SOON = { workers: 20, owned: 100, loads: 5000 }

/**
 * Is one of those that could plan; the one that is elected does. Its plan is one value, which it changes by compare and set, and
 * each plan has the token of the term in which it was made: so plans follow each other in one line, whoever makes them.
 */
export class Planner {
  readonly #coordinator: Coordinator
  readonly #name: string
  readonly #board: Board
  readonly #options: PlannerOptions
  readonly #election: Election

  constructor(coordinator: Coordinator, name: string, board: Board, options: PlannerOptions) {
    this.#coordinator = coordinator
    this.#name = name
    this.#board = board
    this.#options = options
    this.#election = elect(coordinator, plannerOf(name), {
      holder: options.worker,
      ...(options.ttl !== undefined && { ttl: options.ttl }),
      onLead: (signal, token) =>
        new PlannerTerm(this.#coordinator, this.#name, this.#board, this.#options, token, signal).run(),
    })
  }

  close(): Promise<void> {
    return this.#election.close()
  }
}

/** The time for which one worker plans. */
class PlannerTerm {
  readonly #coordinator: Coordinator
  readonly #name: string
  readonly #board: Board
  readonly #options: PlannerOptions
  readonly #rules: PlanRules
  readonly #token: number
  readonly #signal: AbortSignal
  readonly #since: number
  /** Since when workers are there, on the monotonic clock. */
  readonly #came = new Map<string, number>()
  /** Since when those are gone that should have buckets, on the monotonic clock and in ms since the epoch. */
  readonly #gone = new Map<string, { readonly now: number; readonly wall: number }>()
  /** The last that was known of each bucket, also of those that move. */
  readonly #loads = new Map<string, number>()
  #plan: Plan | undefined
  #revision: number | undefined
  /** Whether the plan is to be written although nothing in it changes: what somebody before has under way is refused then. */
  #isFirst = true
  #due = 0
  #wake: () => void = () => undefined

  constructor(
    coordinator: Coordinator,
    name: string,
    board: Board,
    options: PlannerOptions,
    token: number,
    signal: AbortSignal,
  ) {
    const { buckets, movesAtOnce = usualMovesAtOnce(buckets) } = options
    this.#coordinator = coordinator
    this.#name = name
    this.#board = board
    this.#options = options
    this.#rules = { ...options.rules, movesAtOnce }
    this.#token = token
    this.#signal = signal
    this.#since = coordinator.runtime.clock.now()
  }

  async run(): Promise<void> {
    const { runtime } = this.#coordinator
    try {
      await unless(this.#signal, this.#board.view.ready, () => undefined)
    } catch {
      return
    }
    await this.#read()
    this.#seeWorkers()
    const forget = this.#board.on((change) => this.#look(change))
    const fresh = this.#board.view.on('fresh', () => this.#within(SOON.workers))
    const meter = new PlannerMeter(runtime, this.#name, () => this.#countUnowned())
    try {
      for (;;) {
        await this.#pause()
        if (this.#signal.aborted) return
        this.#due = Infinity
        // What cannot be seen cannot be planned.
        if (!this.#board.view.stale) await this.#pass(meter)
      }
    } finally {
      forget()
      fresh()
      meter.close()
    }
  }

  #look(change: BoardChange): void {
    if (change.workers) this.#seeWorkers()
    if (change.loads) this.#seeLoads()
    const { planRevision } = this.#board.facts
    const isOthers = change.plan && planRevision !== this.#revision
    if (change.workers || change.wishes || isOthers) this.#within(SOON.workers)
    else if (change.owned.size > 0) this.#within(SOON.owned)
    else if (change.loads) this.#within(SOON.loads)
  }

  #seeWorkers(): void {
    const { clock } = this.#coordinator.runtime
    const workers = this.#board.facts.staying
    for (const worker of this.#came.keys()) if (!workers.has(worker)) this.#came.delete(worker)
    for (const worker of workers.keys()) {
      this.#gone.delete(worker)
      if (!this.#came.has(worker)) this.#came.set(worker, clock.now())
    }
    for (const worker of new Set(this.#plan?.targets))
      if (worker !== undefined && !workers.has(worker)) this.#goneSince(worker)
  }

  #seeLoads(): void {
    for (const loads of this.#board.facts.loads.values())
      for (const [bucket, load] of loads) this.#loads.set(bucket, load)
  }

  #goneSince(worker: string): number {
    const { clock } = this.#coordinator.runtime
    let gone = this.#gone.get(worker)
    if (!gone) {
      const wall = this.#plan?.gone[worker] ?? clock.wall()
      this.#gone.set(worker, (gone = { now: clock.now(), wall }))
    }
    return gone.now
  }

  /** Looks what is to be done, and does it. */
  async #pass(meter: PlannerMeter): Promise<void> {
    const { clock } = this.#coordinator.runtime
    const { facts, view } = this.#board
    // Somebody else has changed it, or it was removed.
    if (facts.planRevision !== this.#revision && view.revision! >= (this.#revision ?? 0)) await this.#read()
    this.#seeLoads()
    const next = nextPlan({
      buckets: this.#options.buckets,
      plan: this.#plan,
      wishes: facts.wishes,
      workers: new Map(
        Array.from(facts.staying, ([worker, { weight }]) => [
          worker,
          { weight, draining: facts.isDraining(worker), since: this.#came.get(worker) ?? clock.now() },
        ]),
      ),
      owned: facts.owned,
      loads: facts.loads.size > 0 ? this.#loads : new Map<string, number>(),
      rules: this.#rules,
      now: clock.now(),
      watchedSince: this.#since,
      goneSince: (worker) => this.#goneSince(worker),
      wall: clock.wall(),
    })
    this.#due = Math.min(this.#due, next.lookAt)
    const gone = Object.fromEntries(next.gone.map((worker) => [worker, this.#gone.get(worker)!.wall]))
    if (this.#isFirst || this.#isNews(next, gone)) await this.#write(next, gone, meter)
  }

  #isNews(next: NextPlan, gone: Plan['gone']): boolean {
    const plan = this.#plan
    return (
      !plan ||
      next.made.length > 0 ||
      next.leveling !== plan.leveling ||
      JSON.stringify(gone) !== JSON.stringify(plan.gone) ||
      next.targets.length !== plan.targets.length ||
      next.targets.some((target, place) => target !== plan.targets[place]) ||
      next.splits.join() !== plan.splits.join()
    )
  }

  async #write(next: NextPlan, gone: Plan['gone'], meter: PlannerMeter): Promise<void> {
    const { clock, telemetry } = this.#coordinator.runtime
    const { splits, targets, moves, leveling } = next
    const plan: Plan = {
      version: (this.#plan?.version ?? 0) + 1,
      term: this.#token,
      by: this.#options.worker,
      at: clock.wall(),
      rules: this.#rules,
      splits,
      targets,
      moves,
      gone,
      leveling,
    }
    try {
      const expected = this.#revision ?? 'absent'
      const result = await this.#coordinator.put(this.#board.keys.plan, encodePlan(plan), { expected })
      if (!result.ok) {
        await this.#read()
        this.#within(SOON.workers)
        return
      }
      this.#plan = plan
      this.#revision = result.revision
      this.#isFirst = false
      this.#tell(next.made, meter)
    } catch (error) {
      if (!isPassing(error)) throw error
      telemetry.log(
        'debug',
        `shards ${JSON.stringify(this.#name)}, the plan is written later: ${String(error)}`,
      )
      await this.#read()
      this.#within(SOON.workers)
    }
  }

  #tell(made: readonly MadeMove[], meter: PlannerMeter): void {
    if (made.length === 0) return
    const counts: Partial<Record<MoveReason, number>> = {}
    for (const { why } of made) counts[why] = (counts[why] ?? 0) + 1
    for (const [why, count] of Object.entries(counts)) meter.moved(count, why as MoveReason)
    const buckets = made.map(({ bucket, from, to }) => ({ bucket, ...(from !== undefined && { from }), to }))
    void rememberShards(this.#coordinator, this.#name, {
      at: this.#coordinator.runtime.clock.wall(),
      by: this.#options.worker,
      what: 'moved',
      counts,
      buckets,
    })
  }

  /** What the plan is, as the engine says. */
  async #read(): Promise<void> {
    const { runtime } = this.#coordinator
    const read = await patiently(
      runtime,
      async () => ({ entry: await this.#coordinator.get(this.#board.keys.plan) }),
      this.#signal,
    )
    if (!read) return
    this.#plan = planIn(read.entry)
    this.#revision = read.entry?.revision
    // Whoever has buckets already has not come just now.
    for (const worker of new Set(this.#plan?.targets))
      if (worker !== undefined && this.#board.facts.workers.has(worker)) this.#came.set(worker, -Infinity)
  }

  #countUnowned(): number {
    const { layout, owned } = this.#board.facts
    return layout?.leaves.reduce((count, leaf) => (owned.has(leaf) ? count : count + 1), 0) ?? 0
  }

  #within(ms: number): void {
    const at = this.#coordinator.runtime.clock.now() + ms
    if (at >= this.#due) return
    this.#due = at
    this.#wake()
  }

  /** Waits until something is to be looked at, or the term is over. */
  async #pause(): Promise<void> {
    const { clock } = this.#coordinator.runtime
    while (!this.#signal.aborted && clock.now() < this.#due) {
      let timer: Timer | undefined
      let forget = (): void => undefined
      await new Promise<void>((resolve) => {
        this.#wake = resolve
        if (this.#due !== Infinity) timer = clock.schedule(this.#due, resolve)
        forget = onAbort(this.#signal, resolve)
      })
      timer?.cancel()
      forget()
    }
  }
}
