import type { Runtime } from '../../core/runtime.js'
import { sagas, type Sagas } from '../../events/saga/index.js'
import type { EventLog } from '../../events/log.js'
import type { HostedSagaState, SagaKindState } from './state.js'
import { glance } from '../glance.js'

/** How far parked sagas of a name are counted. */
const COUNT = 100

/** So many names are shown. */
const NAMES = 100

type Parked = NonNullable<SagaKindState['parked']>

/**
 * Tells how many sagas of a log are parked, whoever runs them, as a gauge by `banyan.saga` and to whoever asks. They are
 * looked at when somebody asks.
 *
 * | gauge | unit | meaning |
 * |---|---|---|
 * | `banyan.saga.parked.current` | `{saga}` | sagas that are parked now, up to 100 |
 */
export class SagaWatch {
  /** Brings the gauges up to date, as far as that goes in the time that there is; a log that cannot be asked is told by its own. */
  readonly look: () => Promise<void>
  readonly #sagas: Sagas
  readonly #runtime: Runtime
  readonly #shown = new Map<string, { parked: Parked; hide: () => void }>()
  readonly #closing = new AbortController()

  constructor(log: EventLog, runtime: Runtime) {
    this.#sagas = sagas(log, { runtime })
    this.#runtime = runtime
    this.look = glance(runtime.clock, () => this.#look())
  }

  /** As it was when somebody has looked last, with what is hosted; undefined if there are no sagas. */
  with(hosted: Readonly<Record<string, HostedSagaState>> = {}): Record<string, SagaKindState> | undefined {
    const names = new Set([...Object.keys(hosted), ...this.#shown.keys()])
    if (names.size === 0) return undefined
    return Object.fromEntries(
      Array.from(names, (name) => {
        const parked = this.#shown.get(name)?.parked
        return [name, { ...hosted[name], ...(parked && { parked }) }]
      }),
    )
  }

  close(): void {
    this.#closing.abort()
    for (const { hide } of this.#shown.values()) hide()
    this.#shown.clear()
  }

  async #look(): Promise<void> {
    const { signal } = this.#closing
    for (const name of (await this.#sagas.names()).slice(0, NAMES)) {
      let count = 0
      const options = { saga: name, status: 'parked', limit: COUNT + 1, signal } as const
      for await (const { status } of this.#sagas.list(options)) if (status === 'parked') count++
      if (signal.aborted) return
      this.#show(name, { count: Math.min(count, COUNT), isComplete: count <= COUNT })
    }
  }

  #show(name: string, parked: Parked): void {
    const shown = this.#shown.get(name)
    if (shown) {
      shown.parked = parked
      return
    }
    const hide = this.#runtime.telemetry.gauge(
      'banyan.saga.parked.current',
      { description: 'Sagas that are parked now.', unit: '{saga}', attributes: { 'banyan.saga': name } },
      () => this.#shown.get(name)?.parked.count ?? 0,
    )
    this.#shown.set(name, { parked, hide })
  }
}
