import { duration } from '../../../core/duration.js'
import { Observers, type Unsubscribe } from '../../../core/observers.js'
import { checkOptionNames } from '../../../core/options.js'
import { coordinationError, hasCode } from '../../errors.js'
import { onAbort } from '../../on-abort.js'
import { ResourceError } from '../../resources/error.js'
import type { ResourceName } from '../../resources/object.js'
import type { CacheChange } from '../informer/informer.js'
import { keyOf, keyOfName } from '../keys.js'
import type { AddOptions } from '../queue/options.js'
import { workQueue, type WorkItem, type WorkQueue } from '../queue/work-queue.js'
import { Caches } from './caches.js'
import { statusHas } from './conditions.js'
import { Contests, type Contest } from './contests.js'
import { mandatesOf, type Mandate, type Mandates } from './mandate.js'
import { ControllerMeter } from './meter.js'
import {
  settingsOf,
  type ControllerOptions,
  type ControllerSettings,
  type ReconcileResult,
} from './options.js'
import { Run } from './run.js'
import { triggersOf, type Trigger } from './triggers.js'

/** How a controller is. */
export interface ControllerState {
  /**
   * `starting`: its caches do not have everything yet. `standby`: others work. `working`: it works on its keys, or on its part of
   * them.
   */
  readonly kind: 'starting' | 'standby' | 'working' | 'closed'
  /** Keys that wait for a worker. */
  readonly depth: number
  /** Keys that wait for their time: for another try, or to be looked at again. */
  readonly delayed: number
  /** Keys that are worked on, or whose writes the caches do not have yet. */
  readonly working: number
}

/** What came of a run. */
export interface ReconcileRun {
  readonly key: string
  /**
   * `stalled`: as it has said so. `conflict`: what it has read was not the newest; it is run again. `aborted`: it was told to end,
   * and somebody else goes on, or nobody.
   */
  readonly outcome: 'done' | 'stalled' | 'conflict' | 'failed' | 'aborted'
  /** What it has thrown. */
  readonly error?: unknown
  /** Failures in a row, with this one. */
  readonly failures: number
  /** How long it took, in ms. */
  readonly took: number
}

/** What a controller tells. */
export interface ControllerEvents extends Record<string, unknown> {
  /** A run has ended. */
  run: ReconcileRun
  /** It has been seen that it fights with somebody, or with itself; it goes more slowly for that resource from now on. */
  contest: Contest
}

/** See {@link controller}. */
export interface Controller extends AsyncDisposable {
  readonly name: string
  readonly state: ControllerState
  /**
   * Resolves when it has begun to work, or stands by; rejects with `BANYAN_RECONCILE_STOPPED` if it is closed before, with
   * `BANYAN_COORDINATOR_CLOSED` if the API is.
   */
  readonly ready: Promise<void>
  /** Has a resource looked at, as if it had changed: for what the API does not tell. */
  add(name: ResourceName | string): void
  /** Observes what it does. What a listener throws is raised as an uncaught exception, and stops nothing. */
  on<Name extends keyof ControllerEvents>(
    event: Name,
    listener: (told: ControllerEvents[Name]) => void,
  ): Unsubscribe
  /** Begins no more runs, aborts those that go on, and waits for their end. */
  close(): Promise<void>
}

/**
 * Keeps what there is as resources want it, whatever has happened in between. A reconcile is told a key, and never what has
 * happened to it: events may be missed, come twice or be put together, and nothing is lost by that.
 *
 * - A key is never worked on twice at the same time, and not before the caches have what its last run has written.
 * - What changes comes before what only has to be looked at once more. What fails is tried again later, each time after twice as
 *   long, and holds nobody up; after some failures the condition `Stalled` says why, if the status of the kind has `conditions`. A
 *   write that was refused because of a newer version is tried again at once; if it always is, that is a failure, too.
 * - With an `election` one of many works; with `shards` each has a part of the keys. Who takes over lists everything first, so that
 *   it knows what was written before. Who has lost a key is refused when it writes.
 * - Whoever fights with another one about the same fields, or runs for ever because of its own writes, is told: in the log, as the
 *   event `contest`, and by the condition `Contested`; and that resource is looked at more and more rarely.
 * - If the status of the kind has `observedGeneration`, it says for which generation the last reconcile has worked.
 *
 * Source: `pkg/internal/controller` of Kubernetes' controller-runtime, and "kstatus" of cli-utils for the conditions.
 *
 * @throws `BANYAN_INVALID_OPTIONS`, `BANYAN_RESOURCE_BAD_REQUEST` for a selection that is none
 */
export function controller<Spec, Status>(options: ControllerOptions<Spec, Status>): Controller {
  return new RunningController(settingsOf(options as unknown as ControllerOptions))
}

/** Of keys that nothing has happened to. */
const LOW = { priority: -100 }
/** How often in a row a conflict is none that was only a matter of time: about 3 s. */
const MOST_CONFLICTS = 10
const STALLED = 'Stalled'
const CONTESTED = 'Contested'

/** What is known of a key that does not work. */
interface Trouble {
  failures: number
  conflicts: number
  /** The version of the resource in which its failure was written down: no news. */
  noted: string | undefined
}

/** What has come of a run, and what follows. */
type Ending =
  | { readonly outcome: 'done'; readonly after: number | undefined }
  | { readonly outcome: 'stalled'; readonly reason: string; readonly message: string }
  | { readonly outcome: 'conflict' | 'failed' | 'aborted'; readonly error: unknown }

class RunningController implements Controller {
  readonly name: string
  readonly ready: Promise<void>
  readonly #settings: ControllerSettings
  readonly #caches: Caches
  readonly #triggers: readonly Trigger[]
  readonly #queue: WorkQueue
  readonly #meter: ControllerMeter
  readonly #contests: Contests
  readonly #observers = new Observers<ControllerEvents>()
  readonly #closing = new AbortController()
  readonly #forget: (() => void)[] = []
  /** By their keys; also those that have ended, as long as the caches do not have what they have written. */
  readonly #runs = new Map<string, Run>()
  readonly #troubles = new Map<string, Trouble>()
  /** Mandates that are new. */
  readonly #gained = new Set<Mandate>()
  /** Mandates since whose beginning everything was listed, and that have not ended. */
  readonly #admitted = new Set<Mandate>()
  #mandates: Mandates | undefined
  #isAdmitting = false
  #closed: Promise<void> | undefined

  constructor(settings: ControllerSettings) {
    const { name, backoff, bucket, runtime } = settings
    this.name = name
    this.#settings = settings
    this.#queue = workQueue({
      name,
      runtime,
      ...(backoff && { backoff }),
      ...(bucket !== undefined && { bucket }),
    })
    this.#caches = new Caches(settings)
    this.#triggers = triggersOf(settings, this.#caches)
    this.#contests = new Contests(name, runtime.clock, (contest) => {
      this.#meter.contested(contest.why)
      runtime.telemetry.log('warn', `controller ${name}, ${contest.key}: ${contest.message}`)
      this.#observers.emit('contest', contest)
    })
    this.#meter = new ControllerMeter(name, runtime.telemetry, () => this.#troubles.size)
    this.#forget.push(this.#caches.own.on('change', (change) => this.#changed(change)))
    for (const trigger of this.#triggers)
      this.#forget.push(trigger.cache.on('change', (change) => this.#triggered(trigger, change)))
    this.ready = this.#start()
    this.ready.catch((error: unknown) => {
      if (!this.#isClosing)
        runtime.telemetry.log('error', `controller ${name} does not begin: ${textOf(error)}`)
    })
  }

  get state(): ControllerState {
    const { depth, delayed, working } = this.#queue
    return { kind: this.#kindOfState, depth, delayed, working }
  }

  add(name: ResourceName | string): void {
    this.#add(typeof name === 'string' ? name : keyOfName(this.#settings.resource, name))
  }

  on<Name extends keyof ControllerEvents>(
    event: Name,
    listener: (told: ControllerEvents[Name]) => void,
  ): Unsubscribe {
    return this.#observers.on(event, listener)
  }

  close(): Promise<void> {
    return (this.#closed ??= this.#close())
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  get #kindOfState(): ControllerState['kind'] {
    if (this.#isClosing) return 'closed'
    if (!this.#mandates) return 'starting'
    return this.#admitted.size > 0 ? 'working' : 'standby'
  }

  get #isClosing(): boolean {
    return this.#closing.signal.aborted
  }

  async #start(): Promise<void> {
    await this.#caches.synced(this.#closing.signal)
    if (this.#isClosing) return
    this.#mandates = mandatesOf(this.#settings, (mandate) => {
      this.#gained.add(mandate)
      void this.#admit()
    })
    for (let worker = 0; worker < this.#settings.concurrency; worker++) void this.#work()
  }

  async #close(): Promise<void> {
    this.#closing.abort(
      coordinationError('BANYAN_RECONCILE_STOPPED', `the controller ${this.name} was closed`),
    )
    for (const forget of this.#forget) forget()
    await this.#queue.close()
    await this.#mandates?.close()
    await this.#caches.close()
    this.#meter.close()
  }

  /** Lets new mandates work, when everything is known that was written before they began. */
  async #admit(): Promise<void> {
    if (this.#isAdmitting) return
    this.#isAdmitting = true
    const { election, shards } = this.#settings
    while (this.#gained.size > 0) {
      const mandates = [...this.#gained]
      this.#gained.clear()
      if (election || shards) await this.#caches.refresh(this.#closing.signal)
      const live = new Set(mandates.filter(({ signal }) => !signal.aborted && !this.#isClosing))
      for (const mandate of live) {
        this.#admitted.add(mandate)
        onAbort(mandate.signal, () => this.#admitted.delete(mandate))
      }
      this.#addAllOf(live)
    }
    this.#isAdmitting = false
  }

  #addAllOf(mandates: ReadonlySet<Mandate>): void {
    const add = (key: string): void => {
      const mandate = this.#mandates?.of(key)
      if (mandate && mandates.has(mandate)) this.#add(key, LOW)
    }
    for (const resource of this.#caches.own.list()) add(keyOf(resource))
    for (const { cache, keys } of this.#triggers)
      for (const resource of cache.list()) for (const key of keys(resource)) if (this.#isOwn(key)) add(key)
  }

  #mandateOf(key: string): Mandate | undefined {
    const mandate = this.#mandates?.of(key)
    return mandate && this.#admitted.has(mandate) ? mandate : undefined
  }

  #add(key: string, options?: AddOptions): void {
    // Who gets the key later lists everything then.
    if (!this.#isClosing && this.#mandateOf(key)) this.#queue.add(key, options)
  }

  #changed(change: CacheChange): void {
    const { key, after } = change
    // How it went that is written down later than the cache was waited for.
    if (after && after.metadata.resourceVersion === this.#troubles.get(key)?.noted) return
    this.#concerns(key, change)
  }

  #triggered({ keys }: Trigger, change: CacheChange): void {
    const { before, after } = change
    const concerned = new Set([...(before ? keys(before) : []), ...(after ? keys(after) : [])])
    for (const key of concerned) if (this.#isOwn(key)) this.#concerns(key, change)
  }

  /** Whether it is what the run writes is known when that is over. */
  #concerns(key: string, change: CacheChange): void {
    const run = this.#runs.get(key)
    if (run) run.news.push(change)
    else this.#addSoon(key)
  }

  /** Who is in a contest is not to go as fast as it can. */
  #addSoon(key: string): void {
    const pause = this.#contests.pause(key)
    if (pause === undefined) this.#add(key)
    else if (!this.#isClosing && this.#mandateOf(key)) this.#queue.addAfter(key, pause)
  }

  /** Whether it may be one of those that are selected: what is not looks like one that is gone. */
  #isOwn(key: string): boolean {
    return !this.#settings.selection || this.#caches.own.get(key) !== undefined
  }

  async #work(): Promise<void> {
    for (let item = await this.#queue.take(); item; item = await this.#queue.take()) await this.#process(item)
  }

  async #process(item: WorkItem): Promise<void> {
    const { key } = item
    const mandate = this.#mandateOf(key)
    if (!mandate) {
      this.#settle(key)
      item.done()
      return
    }
    const { clock } = this.#settings.runtime
    const began = clock.now()
    const failures = this.#troubles.get(key)?.failures ?? 0
    const run = new Run(key, failures + 1, mandate, this.#closing.signal, this.#settings, this.#caches)
    this.#runs.set(key, run)
    let ending: Ending
    try {
      ending = await mandate.guard(() => this.#reconcile(run))
    } catch (error) {
      // It was over before it began.
      ending = { outcome: 'aborted', error }
    }
    run.end()
    for (const write of run.writes) if (!write.isGone) this.#contests.wrote(key, write)
    this.#follow(run, ending)
    const took = clock.now() - began
    this.#meter.ran(ending.outcome, took)
    const { outcome } = ending
    const count = this.#troubles.get(key)?.failures ?? 0
    this.#observers.emit('run', {
      key,
      outcome,
      ...('error' in ending && { error: ending.error }),
      failures: count,
      took,
    })
    void this.#release(item, run, outcome)
  }

  async #reconcile(run: Run): Promise<Ending> {
    const ending = await this.#attempt(run)
    try {
      await this.#noteDown(run, ending)
    } catch (error) {
      // It has gone meanwhile, and says so by itself.
      if (hasCode(error, 'BANYAN_RESOURCE_NOT_FOUND')) return ending
      // What the reconcile has failed with matters more.
      const last = ending.outcome === 'done' || ending.outcome === 'stalled' ? endingOf(error, run) : ending
      if (!isRefused(error)) return last
      // Without what is wrong in the status, it can say that something is.
      run.forgetStatus()
      await this.#noteDown(run, last).catch(() => undefined)
      return last
    }
    return ending
  }

  async #attempt(run: Run): Promise<Ending> {
    try {
      // Whatever it says, it is not typed: it may be JavaScript.
      const result: unknown = await this.#settings.reconcile(run.key, run)
      return endingOfResult(result)
    } catch (error) {
      const ending = endingOf(error, run)
      const { conflicts = 0 } = this.#troubles.get(run.key) ?? {}
      const isHopeless = ending.outcome === 'conflict' && conflicts >= MOST_CONFLICTS
      return isHopeless ? { outcome: 'failed', error } : ending
    }
  }

  /** Writes the status, with how it went. */
  async #noteDown(run: Run, ending: Ending): Promise<void> {
    this.#sayHow(run, ending)
    await run.noteDown()
  }

  #sayHow(run: Run, ending: Ending): void {
    const { resource: kind, stalledAfter } = this.#settings
    const seen = run.get()
    if (!seen) return
    if (ending.outcome === 'done' && statusHas(kind, 'observedGeneration', 'named'))
      run.setStatus({ observedGeneration: run.generation })
    if (!statusHas(kind, 'conditions')) return
    const contest = this.#contests.of(run.key)
    if (contest) {
      const { why: reason, message } = contest
      run.setCondition({ type: CONTESTED, status: true, reason, message })
    } else run.dropCondition(CONTESTED)
    if (ending.outcome === 'done') run.dropCondition(STALLED)
    else if (ending.outcome === 'stalled') {
      const { reason, message } = ending
      run.setCondition({ type: STALLED, status: true, reason, message })
    } else if (ending.outcome === 'failed' && run.attempt >= stalledAfter)
      run.setCondition({
        type: STALLED,
        status: true,
        reason: 'ReconcileFailed',
        message: textOf(ending.error),
      })
  }

  /** Sees to it that the key is looked at again when it has to be. */
  #follow(run: Run, ending: Ending): void {
    const { key } = run
    switch (ending.outcome) {
      case 'done':
      case 'stalled': {
        this.#settle(key)
        if (ending.outcome === 'done' && ending.after !== undefined) this.#queue.addAfter(key, ending.after)
        const { resync, runtime } = this.#settings
        // Spread, so that those of the first list do not come back together.
        if (resync !== undefined && run.get())
          this.#queue.addAfter(key, resync * (0.9 + runtime.random.next() / 5), LOW)
        return
      }
      case 'aborted':
        this.#settle(key)
        return
      case 'conflict': {
        const trouble = this.#trouble(key)
        // The second in a row is that of somebody who is quicker, or of a cache that is far behind.
        if (++trouble.conflicts === 1) this.#queue.add(key)
        else this.#queue.retry(key)
        return
      }
      case 'failed': {
        const trouble = this.#trouble(key)
        trouble.failures++
        trouble.noted = run.get()?.metadata.resourceVersion
        const wait = this.#queue.retry(key)
        run.log('warn', `controller ${this.name}, ${key} has failed: ${textOf(ending.error)}`, {
          'banyan.failures': trouble.failures,
          'banyan.wait_ms': Math.round(wait),
        })
      }
    }
  }

  /** Lets others have the key when the caches have what the run has written. */
  async #release(item: WorkItem, run: Run, outcome: Ending['outcome']): Promise<void> {
    const { catchUp, runtime } = this.#settings
    const { signal } = this.#closing
    const until = runtime.clock.now() + catchUp
    const within = (): number => Math.max(0, until - runtime.clock.now())
    let isSeen = true
    for (const write of run.writes) isSeen = (await this.#caches.has(write, within(), signal)) && isSeen
    for (const kind of run.doubtful) isSeen = (await this.#caches.isFresh(kind, within(), signal)) && isSeen
    if (!isSeen && !signal.aborted) {
      this.#meter.stale()
      run.log('warn', `controller ${this.name}, the cache does not have what was written to ${run.key}`)
    }
    this.#runs.delete(run.key)
    const isOwn = run.news.length > 0 && run.news.every((change) => run.isOwn(change))
    this.#contests.ended(run.key, isOwn && outcome === 'done', run.writes)
    const left = this.#contests.left(run.key)
    // Then the status says no more that there is a contest.
    if (left !== undefined) this.#queue.addAfter(run.key, left, LOW)
    // What a run has written that failed is no reason not to wait.
    if (run.news.length > 0 && !(isOwn && outcome === 'failed')) this.#addSoon(run.key)
    item.done()
  }

  #trouble(key: string): Trouble {
    const trouble = this.#troubles.get(key) ?? { failures: 0, conflicts: 0, noted: undefined }
    this.#troubles.set(key, trouble)
    return trouble
  }

  #settle(key: string): void {
    this.#troubles.delete(key)
    this.#queue.forget(key)
  }
}

const RESULT: readonly (keyof ReconcileResult)[] = ['after', 'stalled']

/** @throws `BANYAN_INVALID_OPTIONS` for what a reconcile cannot say */
function endingOfResult(result: unknown): Ending {
  if (result === undefined || result === null) return { outcome: 'done', after: undefined }
  checkOptionNames('reconcile', RESULT, result)
  const { after, stalled } = result as ReconcileResult
  if (stalled) return { outcome: 'stalled', reason: stalled.reason, message: stalled.message }
  return { outcome: 'done', after: after === undefined ? undefined : duration(after, 'reconcile: after') }
}

function endingOf(error: unknown, { signal, isTooLate }: Run): Ending {
  if (signal.aborted && !isTooLate) return { outcome: 'aborted', error }
  const isConflict = hasCode(error, 'BANYAN_RESOURCE_CONFLICT') || hasCode(error, 'BANYAN_RESOURCE_EXISTS')
  return { outcome: isConflict ? 'conflict' : 'failed', error }
}

/** Whether a status is not taken for what stands in it. */
function isRefused(error: unknown): boolean {
  return error instanceof ResourceError && [400, 413, 422].includes(error.status)
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
