import { BanyanError } from '../../core/errors.js'
import { suggest } from '../../core/suggest.js'
import type { Runtime } from '../../core/runtime.js'
import { eventError } from '../../events/errors.js'
import type { Discarded, EventLog, ParkedChange, ParkedSelection, Retried } from '../../events/index.js'
import type { CaptureSpec } from '../spec.js'
import { fingerprintOf, HostedCapture } from './hosted-capture.js'
import { loadMap, type LoadedMap } from './module.js'
import type { CaptureControl, HostedCaptureState } from './state.js'

type Specs = Readonly<Record<string, CaptureSpec>>

/** The captures that a configuration asks for. Those that stay the same go on when it changes. */
export class HostedCaptures implements CaptureControl {
  readonly #log: EventLog
  readonly #runtime: Runtime
  readonly #captures = new Map<string, HostedCapture>()
  /** What is being closed while the node goes on. */
  readonly #leaving = new Map<string, Promise<void>>()
  #isClosed = false

  constructor(log: EventLog, runtime: Runtime) {
    this.#log = log
    this.#runtime = runtime
  }

  /**
   * Loads the mappings of a configuration.
   *
   * @returns runs what it asks for, in place of what was asked for before
   * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` that says which mapping cannot be had; nothing has changed then
   */
  async prepare(specs: Specs): Promise<() => void> {
    const maps = new Map<string, LoadedMap>()
    for (const [name, { tables }] of Object.entries(specs))
      for (const [table, { map }] of Object.entries(tables))
        if (map !== undefined && !maps.has(map))
          maps.set(map, await mapOf(map, `cdc.${name}.tables.${table}`))
    return () => this.#follow(specs, maps)
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- asked of other processes, too
  async list(): Promise<HostedCaptureState[]> {
    return Array.from(this.#captures.values(), (capture) => capture.state())
  }

  async resnapshot(name: string): Promise<void> {
    if (await this.resnapshotHere(name)) return
    throw elsewhere(name)
  }

  async retry(name: string): Promise<Retried> {
    const retried = await this.retryHere(name)
    if (retried) return retried
    throw elsewhere(name)
  }

  async discard(name: string, which: ParkedSelection): Promise<Discarded> {
    const discarded = await this.discardHere(name, which)
    if (discarded) return discarded
    throw elsewhere(name)
  }

  /** Whether it captures in this process, so that it has begun. */
  // eslint-disable-next-line @typescript-eslint/require-await -- asked of other processes, too
  async resnapshotHere(name: string): Promise<boolean> {
    const { capture } = this.#find(name)
    if (capture.status().state === 'waiting') return false
    // It may take hours; what becomes of it is told by its state.
    capture.resnapshot().catch(() => undefined)
    return true
  }

  /** What came of it, if it captures in this process. */
  async retryHere(name: string): Promise<Retried | undefined> {
    const { capture } = this.#find(name)
    return capture.status().state === 'waiting' ? undefined : capture.retryParked()
  }

  /** What came of it, if it captures in this process. */
  async discardHere(name: string, which: ParkedSelection): Promise<Discarded | undefined> {
    const { capture } = this.#find(name)
    return capture.status().state === 'waiting' ? undefined : capture.discardParked(which)
  }

  async parked(name: string, after: string | undefined, limit: number): Promise<ParkedChange[]> {
    const found: ParkedChange[] = []
    for await (const row of this.#find(name).capture.parked()) {
      if (after !== undefined && row.position <= after) continue
      found.push(row)
      if (found.length === limit) break
    }
    return found
  }

  /** Leaves everything to others. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#follow({}, new Map())
    await Promise.all(this.#leaving.values())
  }

  #follow(specs: Specs, maps: ReadonlyMap<string, LoadedMap>): void {
    for (const [name, capture] of this.#captures) {
      const spec = specs[name]
      if (spec && fingerprintOf(spec, maps) === capture.fingerprint) continue
      this.#captures.delete(name)
      this.#leave(capture)
      if (this.#isClosed) continue
      if (spec) {
        this.#runtime.telemetry.log(
          'info',
          `capture ${name} begins anew: its configuration or its map has changed`,
        )
        continue
      }
      this.#runtime.telemetry.log(
        'warn',
        `capture ${name} is not configured any more, and its database keeps write-ahead log for it; if it is not to go on: banyan cdc remove ${name} --from <url>`,
      )
    }
    for (const [name, spec] of Object.entries(specs))
      if (!this.#captures.has(name))
        this.#captures.set(name, new HostedCapture(name, spec, maps, this.#log, this.#runtime))
  }

  #leave(capture: HostedCapture): void {
    const leaving = capture.close().finally(() => {
      if (this.#leaving.get(capture.name) === leaving) this.#leaving.delete(capture.name)
    })
    this.#leaving.set(capture.name, leaving)
  }

  #find(name: string): HostedCapture {
    const found = this.#captures.get(name)
    if (found) return found
    const names = [...this.#captures.keys()]
    const near = suggest(name, names)
    throw eventError(
      'BANYAN_CAPTURE_UNKNOWN',
      `there is no capture ${name} in the configuration${near === undefined ? `; it has ${names.join(', ')}` : `, did you mean ${near}?`}`,
    )
  }
}

async function mapOf(reference: string, where: string): Promise<LoadedMap> {
  try {
    return await loadMap(reference)
  } catch (error) {
    if (!(error instanceof BanyanError)) throw error
    throw new BanyanError('BANYAN_INVALID_OPTIONS', `${where}: ${error.message}`, { cause: error })
  }
}

/** Only who captures can do it. */
export function elsewhere(name: string): BanyanError {
  return eventError(
    'BANYAN_CAPTURE_CLOSED',
    `another node captures as ${name}, and this one waits to take over: ask that one`,
  )
}
