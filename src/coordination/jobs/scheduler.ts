import { sleep } from '../../core/clock.js'
import { formatDuration } from '../../core/duration.js'
import { Observers, type Unsubscribe } from '../../core/observers.js'
import type { Changes, Coordinator } from '../coordinator.js'
import { coordinationError, hasCode, isPassing } from '../errors.js'
import { JobKeeper } from './keeper.js'
import { settingsOf, type SchedulerOptions, type SchedulerSettings } from './options.js'
import type { EndedJobRun, JobRun } from './record.js'
import { JOBS_PREFIX, persistently, placeOf } from './store.js'
import type { Places, Surroundings } from './surroundings.js'

/** What can be observed of a scheduler: what happens in its process. */
export interface SchedulerEvents {
  /** A run begins here. */
  started: JobRun & { readonly name: string }
  /** A run that began here has ended, and that is written down. */
  ended: EndedJobRun & { readonly name: string }
}

/** Jobs that this process runs, or others. */
export interface Scheduler extends AsyncDisposable {
  /** Resolves when all its jobs are known to the coordinator; rejects if it is closed before. */
  readonly ready: Promise<void>
  /** The runs that are under way in this process. */
  readonly running: readonly (JobRun & { readonly name: string })[]
  on<Name extends keyof SchedulerEvents>(
    name: Name,
    listener: (event: SchedulerEvents[Name]) => void,
  ): Unsubscribe
  /**
   * Starts no run any more, and waits for those that are under way. After `drain` their signals abort; after five more seconds
   * it does not wait any longer. Whoever goes on then keeps others from running the job, as long as this process lives.
   */
  close(): Promise<void>
}

/** How long closing waits for runs that were told to end, in ms. */
const LAST_MS = 5000
/** How long to wait until the state is read again, after it could not be, in ms. */
const AGAIN_MS = 1000

/**
 * Runs jobs at their times, each on exactly one of the processes that schedule it.
 *
 * Without `retry` each time of a job is started at most once, whatever crashes, stalls, or is set back. With it a time is
 * started until a run has succeeded, or `attempts` are used up. Never are two runs of a job under way, if those end that are
 * told to. Nobody can promise that nothing is done by a process that does not know yet that it was given up: where that
 * matters, ask `check()` first, and let the resource compare `token`.
 *
 * @throws `BANYAN_INVALID_OPTIONS`, `BANYAN_INVALID_KEY`, `BANYAN_LEASE_TTL`
 */
export function scheduleJobs(coordinator: Coordinator, options: SchedulerOptions): Scheduler {
  return new JobScheduler(coordinator, settingsOf(options, coordinator.runtime.random))
}

class JobScheduler implements Scheduler {
  readonly ready: Promise<void>
  readonly #coordinator: Coordinator
  readonly #settings: SchedulerSettings
  readonly #keepers = new Map<string, JobKeeper>()
  readonly #running = new Map<string, JobRun & { readonly name: string }>()
  readonly #observers = new Observers<{ [Name in keyof SchedulerEvents]: SchedulerEvents[Name] }>()
  readonly #closing = new AbortController()
  readonly #stopped = new AbortController()
  readonly #ended = new AbortController()
  readonly #forget: () => void
  #closed: Promise<void> | undefined

  constructor(coordinator: Coordinator, settings: SchedulerSettings) {
    this.#coordinator = coordinator
    this.#settings = settings
    const around: Surroundings = {
      coordinator,
      session: coordinator.session(settings.ttl),
      holder: settings.holder,
      closing: this.#closing.signal,
      stopped: this.#stopped.signal,
      ended: this.#ended.signal,
      places: new PlacesOf(settings.concurrency, () => this.#look()),
      started: (name, run) => {
        this.#running.set(name, { ...run, name })
        this.#observers.emit('started', { ...run, name })
      },
      finished: (name, run) => {
        this.#running.delete(name)
        this.#observers.emit('ended', { ...run, name })
      },
    }
    for (const [name, job] of settings.jobs) this.#keepers.set(name, new JobKeeper(name, job, around))
    this.ready = this.#register()
    this.ready.catch(() => undefined)
    void this.#follow()
    const close = (): void => void this.close()
    settings.signal?.addEventListener('abort', close, { once: true })
    this.#forget = () => settings.signal?.removeEventListener('abort', close)
    if (settings.signal?.aborted) close()
  }

  get running(): readonly (JobRun & { readonly name: string })[] {
    return [...this.#running.values()]
  }

  on<Name extends keyof SchedulerEvents>(
    name: Name,
    listener: (event: SchedulerEvents[Name]) => void,
  ): Unsubscribe {
    return this.#observers.on(name, listener)
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #register(): Promise<void> {
    const { telemetry } = this.#coordinator.runtime
    const registered = [...this.#keepers.values()].map(async (keeper) => {
      try {
        await keeper.register()
      } catch (error) {
        if (!this.#closing.signal.aborted)
          telemetry.log('error', `job ${keeper.name}: is not run here: ${String(error)}`)
        throw error
      }
    })
    await Promise.all(registered)
  }

  #look(): void {
    for (const keeper of this.#keepers.values()) keeper.look()
  }

  /** Tells each job what becomes of its keys, until it is closed. */
  async #follow(): Promise<void> {
    const { signal } = this.#closing
    const { telemetry, clock } = this.#coordinator.runtime
    const isClosing = (): boolean => signal.aborted
    while (!isClosing()) {
      try {
        await this.#watch(signal)
      } catch (error) {
        if (isClosing() || hasCode(error, 'BANYAN_COORDINATOR_CLOSED')) return
        // Compacted is what happens to whoever was away for long.
        if (!isPassing(error) && !hasCode(error, 'BANYAN_COMPACTED'))
          telemetry.log('error', `jobs cannot be followed, which is tried again: ${String(error)}`)
        await sleep(clock, AGAIN_MS, signal).catch(() => undefined)
      }
    }
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { entries, revision } = await persistently(
      this.#coordinator,
      () => this.#coordinator.list(JOBS_PREFIX),
      signal,
    )
    const found = new Map(entries.map((entry) => [entry.key, entry]))
    for (const keeper of this.#keepers.values()) {
      keeper.seeRun(revision, found.get(keeper.runKey))
      keeper.seeRecord(revision, found.get(keeper.recordKey))
    }
    for await (const changes of this.#coordinator.watch(JOBS_PREFIX, { after: revision, signal }))
      this.#see(changes)
  }

  #see({ revision, changes }: Changes): void {
    for (const change of changes) {
      const entry = change.kind === 'put' ? change.entry : undefined
      const place = placeOf(change.kind === 'put' ? change.entry.key : change.key)
      const keeper = place && this.#keepers.get(place.name)
      if (place?.kind === 'run') keeper?.seeRun(revision, entry)
      if (place?.kind === 'record') keeper?.seeRecord(revision, entry)
    }
  }

  async #close(): Promise<void> {
    this.#forget()
    const { drain } = this.#settings
    const { clock, telemetry } = this.#coordinator.runtime
    this.#closing.abort(coordinationError('BANYAN_JOB_STOPPED', 'the scheduler is closed'))
    const keepers = [...this.#keepers.values()]
    for (const keeper of keepers) keeper.close()
    const over = new AbortController()
    void Promise.all(keepers.map(({ idle }) => idle)).then(() => over.abort())
    await sleep(clock, drain, over.signal).catch(() => undefined)
    this.#stopped.abort(
      coordinationError(
        'BANYAN_JOB_STOPPED',
        `the scheduler is closed, and has waited for ${formatDuration(drain)}`,
      ),
    )
    await sleep(clock, LAST_MS, over.signal).catch(() => undefined)
    for (const { name, isRunning } of keepers)
      if (isRunning)
        telemetry.log(
          'error',
          `job ${name}: its run goes on though it was told to end; nobody else runs it as long as this process keeps its lease`,
        )
      else if (this.#running.has(name))
        telemetry.log(
          'warn',
          `job ${name}: its run has ended, and that could not be written down yet; unless it is before this process ends, others take it for lost`,
        )
    if (this.#running.size === 0) this.#ended.abort(this.#closing.signal.reason)
  }
}

class PlacesOf implements Places {
  readonly #count: number
  readonly #freed: () => void
  #taken = 0

  /** @param freed - there is a place again */
  constructor(count: number, freed: () => void) {
    this.#count = count
    this.#freed = freed
  }

  get taken(): number {
    return this.#taken
  }

  get isFull(): boolean {
    return this.#taken >= this.#count
  }

  take(): void {
    this.#taken++
  }

  give(): void {
    const wasFull = this.isFull
    this.#taken--
    if (wasFull) this.#freed()
  }
}
