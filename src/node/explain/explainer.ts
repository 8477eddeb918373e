import type { Clock } from '../../core/clock.js'
import { BanyanError } from '../../core/errors.js'
import { parseTraceContext } from '../../core/trace-context.js'
import { RejectedError } from '../../traffic/errors.js'
import type { RequestReport } from '../../traffic/gateway/index.js'
import { evidenceFor } from './evidence.js'
import type { Evidence, Explanation } from './explanation.js'

/** Requests that are remembered; each takes less than a kilobyte. */
const REMEMBERED = 1_000

/** Under a flood of refusals the numbers behind them are read that seldom, in ms. */
const EVIDENCE_MS = 50

/** Policies whose numbers are kept for the next refusal. */
const MOST_EVIDENCE = 200

/** Longest text that a client decides on, in characters. */
const MOST_TEXT = 500

/**
 * Remembers the last requests that did not get what they asked for, and why: which policy refused, on which numbers.
 * What went well costs one comparison.
 */
export class Explainer {
  readonly #clock: Clock
  readonly #ring: Explanation[] = []
  #next = 0
  readonly #evidence = new Map<string, Evidence | undefined>()
  readonly #readAt = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Takes a request whose answer is complete. */
  note(report: RequestReport): void {
    const { reason, status } = report
    if (reason === undefined && status < 500 && !report.cut) return
    this.#ring[this.#next] = this.#explain(report)
    this.#next = (this.#next + 1) % REMEMBERED
  }

  /**
   * What is known of a request.
   *
   * @param id - its request id or trace id; without one, the last requests are told of
   * @param most - how many
   * @returns the latest first
   */
  find(id: string | undefined, most = 50): Explanation[] {
    const newestFirst = [...this.#ring.slice(this.#next), ...this.#ring.slice(0, this.#next)].reverse()
    const found =
      id === undefined
        ? newestFirst
        : newestFirst.filter((each) => each.requestId === id || each.traceId === id)
    return found.slice(0, most)
  }

  #explain(report: RequestReport): Explanation {
    const { exchange, forwarding, route, service, error, problem } = report
    const { request } = exchange
    const code = error instanceof BanyanError ? error.code : undefined
    const policy = error instanceof RejectedError ? error.policy : undefined
    return {
      at: Math.round(this.#clock.wall() - (this.#clock.now() - report.startedAt)),
      requestId: forwarding?.requestId,
      traceId: report.span?.context.traceId ?? parseTraceContext(request.fields.get('traceparent'))?.traceId,
      method: request.method.slice(0, MOST_TEXT),
      host: request.host.slice(0, MOST_TEXT),
      path: request.target.replace(/\?[^]*$/, '').slice(0, MOST_TEXT),
      route: route?.name,
      service: service?.name,
      endpoint: (forwarding?.last as { url?: string } | undefined)?.url,
      tries: report.tries,
      status: report.status,
      duration: Math.round((report.endedAt - report.startedAt) * 100) / 100,
      reason: report.reason ?? report.errorType ?? String(report.status),
      code,
      policy,
      message: error instanceof Error ? error.message : problem?.detail,
      retryAfter: problem?.retryAfter,
      evidence: this.#evidenceOf(code, policy ?? service?.name ?? '', report),
    }
  }

  /** The numbers now, or those read a moment ago for another request. */
  #evidenceOf(code: string | undefined, owner: string, report: RequestReport): Evidence | undefined {
    const key = `${code ?? ''} ${owner}`
    const now = this.#clock.now()
    if (now - (this.#readAt.get(key) ?? -Infinity) < EVIDENCE_MS) return this.#evidence.get(key)
    if (this.#readAt.size >= MOST_EVIDENCE) {
      this.#readAt.clear()
      this.#evidence.clear()
    }
    const evidence = evidenceFor(code, report, this.#clock.wall())
    this.#readAt.set(key, now)
    this.#evidence.set(key, evidence)
    return evidence
  }
}
