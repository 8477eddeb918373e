import { sleep } from '../../core/clock.js'
import { BanyanError } from '../../core/errors.js'
import type { Runtime } from '../../core/runtime.js'
import { eventError } from '../../events/errors.js'
import { captureChanges, type CaptureOptions, type ChangeCapture, type EventLog } from '../../events/index.js'
import { redact } from '../config/redact.js'
import type { CaptureSpec } from '../spec.js'
import type { LoadedMap } from './module.js'
import type { HostedCaptureState } from './state.js'

/** Between tries to start one whose database has to be mended first, in ms. */
const PAUSE_MS = 10_000

/** A capture that a configuration asks for. One that cannot be started is tried again without end: the node goes on. */
export class HostedCapture {
  readonly name: string
  /** What it was made of: the same again changes nothing. */
  readonly fingerprint: string
  readonly #options: Omit<CaptureOptions, 'signal'>
  readonly #source: string
  readonly #runtime: Runtime
  readonly #closing = new AbortController()
  readonly #running: Promise<void>
  #capture: ChangeCapture | undefined
  #error: { code: string; message: string } | undefined

  constructor(
    name: string,
    spec: CaptureSpec,
    maps: ReadonlyMap<string, LoadedMap>,
    log: EventLog,
    runtime: Runtime,
  ) {
    this.name = name
    this.fingerprint = fingerprintOf(spec, maps)
    const tables = Object.entries(spec.tables).map(([table, { map, ...rest }]) => [
      table,
      { ...rest, ...(map !== undefined && { map: maps.get(map)!.map }) },
    ])
    this.#options = {
      ...spec,
      name,
      log,
      runtime,
      tables: Object.fromEntries(tables) as CaptureOptions['tables'],
    }
    this.#source = String(redact(spec.from))
    this.#runtime = runtime
    this.#running = this.#run()
  }

  state(): HostedCaptureState {
    if (this.#capture) return this.#capture.status()
    return {
      name: this.name,
      source: this.#source,
      state: this.#error ? 'retrying' : 'connecting',
      generation: 0,
      lsn: '0/0',
      lagBytes: undefined,
      lagMs: 0,
      rows: 0,
      snapshotRows: 0,
      parked: 0,
      waitingStreams: 0,
      snapshot: undefined,
      error: this.#error,
      errors: this.#error ? [this.#error] : [],
      tables: Object.entries(this.#options.tables).map(([table, { topic }]) => ({ table, topic })),
    }
  }

  /**
   * What runs here.
   *
   * @throws `BANYAN_CAPTURE_CLOSED` if nothing does
   */
  get capture(): ChangeCapture {
    if (!this.#capture)
      throw eventError(
        'BANYAN_CAPTURE_CLOSED',
        `the capture ${this.name} could not be started${this.#error ? `: ${this.#error.message}` : ' yet'}`,
      )
    return this.#capture
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
    await this.#capture?.close()
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    const { clock, telemetry } = this.#runtime
    while (!this.#capture && !signal.aborted)
      try {
        this.#capture = await captureChanges({ ...this.#options, signal })
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error)
        if (this.#error?.message !== message) telemetry.log('error', `capture ${this.name}: ${message}`)
        this.#error = { code: error instanceof BanyanError ? error.code : 'UNEXPECTED', message }
        await sleep(clock, PAUSE_MS, signal).catch(() => undefined)
      }
  }
}

/** Also of what is loaded. */
export function fingerprintOf(spec: CaptureSpec, maps: ReadonlyMap<string, LoadedMap>): string {
  const loaded = Object.values(spec.tables).map(({ map }) =>
    map === undefined ? '' : maps.get(map)!.fingerprint,
  )
  return JSON.stringify([spec, loaded])
}
