import type { Timer } from '../../../core/clock.js'
import type { Coordinator, Lease } from '../../coordinator.js'
import { leave } from '../../line/own-key.js'
import { LoadReport } from './load-report.js'

/** What a {@link LoadTeller} needs of its worker. */
export interface LoadTellerContext {
  /** Where it is told. */
  readonly key: string
  /** How often at most, in ms. */
  readonly every: number
  /** What a bucket costs at the moment, if the application says so when it is asked. */
  readonly load: ((bucket: string) => number) | undefined
  /** With which lease the worker is known to others. */
  readonly lease: () => Lease | undefined
  /** Buckets that the worker has at this moment. */
  readonly owned: () => readonly string[]
  /** Whether one is such a bucket. */
  readonly owns: (bucket: string) => boolean
  readonly log: (level: 'debug' | 'error', message: string) => void
}

/** Tells others from time to time what the buckets of a worker cost. */
export class LoadTeller {
  readonly #coordinator: Coordinator
  readonly #context: LoadTellerContext
  readonly #report = new LoadReport()
  #timer: Timer | undefined
  #telling: Promise<void> | undefined
  #isClosed = false

  constructor(coordinator: Coordinator, context: LoadTellerContext) {
    this.#coordinator = coordinator
    this.#context = context
  }

  /** Others know nothing of what was told with another lease. */
  came(): void {
    this.#report.forgotten()
    if (this.#context.load) this.#later()
  }

  /** The application says what buckets cost; what is not owned is left out. */
  say(loads: Iterable<readonly [bucket: string, load: number]>): void {
    for (const [bucket, load] of loads) if (this.#context.owns(bucket)) this.#report.add(bucket, load)
    this.#later()
  }

  /** Tells nothing more, and takes back what was told. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    // What is told after that would stay for as long as the process has its lease.
    await this.#telling
    const lease = this.#context.lease()
    if (lease?.held) await leave(this.#coordinator, { key: this.#context.key, lease, doubtful: false })
  }

  #later(): void {
    if (this.#timer || this.#isClosed) return
    const { clock } = this.#coordinator.runtime
    this.#timer = clock.schedule(clock.now() + this.#context.every, () => {
      this.#timer = undefined
      this.#telling = this.#tell()
    })
  }

  async #tell(): Promise<void> {
    const { key, load, log } = this.#context
    const owned = this.#context.owned()
    if (load)
      for (const bucket of owned)
        try {
          this.#report.add(bucket, load(bucket))
        } catch (error) {
          log('error', `the load of bucket ${bucket} could not be asked: ${String(error)}`)
        }
    this.#report.keep(new Set(owned))
    const lease = this.#context.lease()
    if (lease?.held && this.#report.isNews)
      await this.#report.tell(this.#coordinator, key, lease).catch((error: unknown) => {
        log('debug', `loads are told later: ${String(error)}`)
        this.#report.forgotten()
      })
    this.#later()
  }
}
