import { isDeepStrictEqual } from 'node:util'
import type { Clock } from '../core/clock.js'
import { systemRandom } from '../core/random.js'
import type { Runtime } from '../core/runtime.js'
import type { OnReport } from '../traffic/gateway/index.js'
import { AccessLog } from './access-log/access-log.js'
import { Explainer } from './explain/explainer.js'
import type { Log } from './log.js'
import { Metrics } from './metrics.js'
import type { NodeSpec } from './spec.js'
import { combined } from './telemetry/combined.js'
import { exportByEnvironment, type Exporting } from './telemetry/otlp.js'

/** A change that is ready to come into force, or to be forgotten. */
interface PreparedObservation {
  commit(): void
  discard(): Promise<void>
}

/** What a node tells of itself: metrics, traces, the access log, and why requests were refused. */
export class Observation {
  readonly metrics: Metrics
  readonly explainer: Explainer
  /** With the telemetry that everything of the node reports to. */
  readonly runtime: Runtime
  /** Takes every request when its answer is complete. */
  readonly onReport: OnReport
  readonly #log: Log
  readonly #exporting: Exporting | undefined
  #accessSpec: NodeSpec['accessLog'] = false
  #access: AccessLog | undefined = undefined

  private constructor(metrics: Metrics, exporting: Exporting | undefined, log: Log, clock: Clock) {
    this.metrics = metrics
    this.#exporting = exporting
    this.#log = log
    const telemetry = exporting ? combined(metrics, exporting.telemetry) : metrics
    this.runtime = { clock, random: systemRandom, telemetry }
    const explainer = new Explainer(clock)
    this.explainer = explainer
    this.onReport = (report) => {
      explainer.note(report)
      this.#access?.report(report)
    }
  }

  /**
   * Begins to observe.
   *
   * @param env - what says where traces and metrics are exported to; see {@link exportByEnvironment}
   * @throws {@link BanyanError} if the access log cannot be written, or a package is missing; nothing stays open then
   */
  static async open(
    { accessLog = false }: Pick<NodeSpec, 'accessLog'>,
    log: Log,
    clock: Clock,
    env: Readonly<Record<string, string | undefined>>,
  ): Promise<Observation> {
    const exporting = await exportByEnvironment(env, log, clock)
    const observation = new Observation(new Metrics(log), exporting, log, clock)
    try {
      const change = await observation.prepare({ accessLog })
      change.commit()
      return observation
    } catch (error) {
      await observation.close()
      throw error
    }
  }

  /**
   * Makes ready what another configuration asks for.
   *
   * @throws {@link BanyanError} `BANYAN_ACCESS_LOG` if the file cannot be written to; nothing has changed then
   */
  async prepare({ accessLog = false }: Pick<NodeSpec, 'accessLog'>): Promise<PreparedObservation> {
    if (isDeepStrictEqual(accessLog, this.#accessSpec))
      return { commit: () => undefined, discard: () => Promise.resolve() }
    const next = accessLog ? await AccessLog.open(accessLog, this.runtime, this.#log) : undefined
    return {
      commit: () => {
        const before = this.#access
        this.#access = next
        this.#accessSpec = accessLog
        void before?.close()
      },
      discard: async () => next?.close(),
    }
  }

  /** Opens log files anew, after they were moved away. */
  reopen(): void {
    this.#access?.reopen()
  }

  /** Writes and sends what is left. */
  async close(): Promise<void> {
    await Promise.all([this.#access?.close(), this.#exporting?.close()])
  }
}
