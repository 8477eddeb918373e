import type { Timer } from '../../core/clock.js'
import { BanyanError } from '../../core/errors.js'
import type { CaptureInstruments } from './instruments.js'
import { Intake } from './intake.js'
import type { Binding } from './mapping.js'
import { needsSnapshot, refreshState } from './origin.js'
import type { CaptureSettings } from './options.js'
import { Parking } from './parking.js'
import type { Requests } from './requests.js'
import { takeSnapshot } from './snapshotting.js'
import { parseLsn, type ChangeSource, type SourceSession } from './source.js'
import { StateStream } from './state.js'
import type { CaptureStateName } from './status.js'
import { Streaming } from './streaming.js'
import type { Work } from './work.js'

/** How often the source is asked how far it is, in ms. */
const LOOK_MS = 2000

/** What a session tells of itself. */
export interface SessionObserver {
  onState(state: CaptureStateName, snapshot?: { table: string; rows: number }): void
  /** @param bytes - of write-ahead log that are not captured */
  onLag(bytes: number): void
  /** The source says that it does not have what comes next. */
  lost: Error | undefined
}

/** One session: from connecting to the source until it is closed, breaks, or has to begin anew. */
export class Session {
  readonly #settings: CaptureSettings
  readonly #source: ChangeSource
  readonly #requests: Requests
  readonly #observer: SessionObserver
  readonly #instruments: CaptureInstruments
  readonly #signal: AbortSignal
  #work: Work | undefined
  #measuredAt = -Infinity
  #timer: Timer | undefined

  constructor(
    settings: CaptureSettings,
    source: ChangeSource,
    requests: Requests,
    observer: SessionObserver,
    instruments: CaptureInstruments,
    signal: AbortSignal,
  ) {
    this.#settings = settings
    this.#source = source
    this.#requests = requests
    this.#observer = observer
    this.#instruments = instruments
    this.#signal = signal
  }

  /** What it works with, once it has everything. */
  get work(): Work | undefined {
    return this.#work
  }

  async run(): Promise<void> {
    const { name } = this.#settings
    const session = await this.#source.connect({
      name,
      signal: this.#signal,
      onWaiting: () => this.#observer.onState('waiting'),
    })
    // What waits for an answer of the server does not look at the signal.
    const close = (): void => void session.close()
    this.#signal.addEventListener('abort', close, { once: true })
    try {
      const work = await this.#begin(session)
      const asked = this.#requests.isSnapshotAsked
      if (await needsSnapshot(work, asked, this.#observer.lost)) {
        // A snapshot that cannot be completed must not keep anybody from mending what is parked.
        await this.#requests.work(work)
        await takeSnapshot(work, (table, rows) => this.#observer.onState('snapshot', { table, rows }))
        this.#observer.lost = undefined
        this.#requests.snapshotTaken()
      } else await refreshState(work)
      this.#signal.removeEventListener('abort', close)
      await this.#follow(work)
    } finally {
      this.#signal.removeEventListener('abort', close)
      await session.close()
    }
  }

  async #begin(session: SourceSession): Promise<Work> {
    const { name, log, tables } = this.#settings
    const state = await StateStream.load(name, log)
    const parking = await Parking.load(name, log)
    const wanted = tables.map((table) => ({
      name: table.name,
      id: state.state.tables[table.name]?.id,
      key: table.key,
    }))
    const shapes = await session.prepare(wanted)
    const bindings = tables.map((table): Binding => ({ ...table, shape: shapes.get(table.name)! }))
    this.#work = {
      settings: this.#settings,
      session,
      state,
      parking,
      intake: new Intake(this.#settings, state, parking, this.#instruments),
      bindings,
      instruments: this.#instruments,
      signal: this.#signal,
      measure: () => this.#measure(),
    }
    await this.#measure()
    return this.#work
  }

  /** Until something else is to be done. */
  async #follow(work: Work): Promise<void> {
    const { session, state, settings } = work
    const stream = await session.follow(parseLsn(state.state.lsn))
    const wake = (): void => stream.wake()
    this.#signal.addEventListener('abort', wake, { once: true })
    this.#requests.onAsked = wake
    this.#tick(wake)
    try {
      const streaming = new Streaming(work, stream)
      this.#observer.onState('streaming')
      while (!this.#signal.aborted) {
        if (streaming.isBetween) {
          if (this.#requests.isSnapshotAsked) return
          await this.#requests.work(work)
          await this.#requests.aim(() => session.end(true))
        }
        const hasChanged = await streaming.step(this.#requests.isWaitedFor)
        this.#requests.reached(streaming.lsn)
        if (hasChanged && settings.resnapshotOn.includes('schema-changed')) this.#requests.askSnapshot()
        await this.#measure()
      }
    } catch (error) {
      if (error instanceof BanyanError && error.code === 'BANYAN_SLOT_LOST') this.#observer.lost = error
      throw error
    } finally {
      this.#requests.onAsked = undefined
      this.#timer?.cancel()
      this.#signal.removeEventListener('abort', wake)
      await stream.close()
    }
  }

  #tick(wake: () => void): void {
    const { clock } = this.#settings.runtime
    this.#timer = clock.schedule(clock.now() + LOOK_MS, () => {
      wake()
      this.#tick(wake)
    })
  }

  async #measure(): Promise<void> {
    const now = this.#settings.runtime.clock.now()
    if (now - this.#measuredAt < LOOK_MS || !this.#work) return
    this.#measuredAt = now
    const { session, state } = this.#work
    const lsn = parseLsn(state.state.lsn)
    const end = await session.end()
    // Before the first place is known there is nothing to compare.
    this.#observer.onLag(lsn === 0n || end < lsn ? 0 : Number(end - lsn))
  }
}
