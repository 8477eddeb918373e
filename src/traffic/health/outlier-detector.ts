import type { Timer } from '../../core/clock.js'
import { duration, formatDuration } from '../../core/duration.js'
import { checkOptions } from '../../core/options.js'
import type { Runtime } from '../../core/runtime.js'
import type { Counter } from '../../core/telemetry.js'
import type { Ejection, OutlierReason } from './ejection.js'
import { outlierOptions, type OutlierOptions } from './outlier-options.js'
import { OutlierTrack, type JudgeOutcome, type OutlierSubject } from './outlier-track.js'
import { highLatency, lowSuccess } from './rates.js'

/** What a detector works with. */
export interface OutlierContext {
  /** What metrics and logs call the service. */
  service: string
  runtime: Runtime
  judge: JudgeOutcome
  /** Active checks in a row that end an ejection. */
  healthyAfter: number
  /** An endpoint has been taken out or has come back. */
  onChange(): void
}

/**
 * Takes endpoints out that do worse than they should, by what their requests come to: failures in a row at once,
 * rates and latencies when it compares the endpoints, once in an interval. Rules and presets are those of Envoy's
 * outlier detection, but for the latency, which Envoy does not look at, and what its users ran into: at least one
 * endpoint may be out of a small number, counts begin anew after an ejection, and nothing perfect enough is an outlier.
 *
 * Nothing is timed while nothing happens.
 */
export class OutlierDetector {
  readonly #options: OutlierOptions
  readonly #context: OutlierContext
  readonly #tracks = new Set<OutlierTrack>()
  readonly #returns = new Map<OutlierTrack, Timer>()
  readonly #consecutiveErrors: number
  readonly #consecutiveGatewayErrors: number
  readonly #interval: number
  readonly #baseEjection: number
  readonly #maxEjection: number
  readonly #latencyMargin: number
  readonly #detections: Counter
  #sweep: Timer | undefined = undefined
  #closed = false

  /** @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` */
  constructor(options: OutlierOptions, context: OutlierContext) {
    checkOptions('outliers', outlierOptions, options)
    this.#options = options
    this.#context = context
    this.#consecutiveErrors = orNever(options.consecutiveErrors ?? 5)
    this.#consecutiveGatewayErrors = orNever(options.consecutiveGatewayErrors ?? false)
    this.#interval = duration(options.interval ?? '10s')
    this.#baseEjection = duration(options.baseEjection ?? '30s')
    this.#maxEjection = Math.max(this.#baseEjection, duration(options.maxEjection ?? '5m'))
    const { latency = false } = options
    this.#latencyMargin = duration((latency === false ? undefined : latency.margin) ?? '10ms')
    this.#detections = context.runtime.telemetry.counter('banyan.outlier.detections', {
      description: 'Endpoints found to be outliers, by reason and what came of it.',
      unit: '{endpoint}',
      attributes: { 'banyan.service': context.service },
    })
  }

  /** Begins to watch an endpoint; `watch` of what is returned goes around its tries. */
  track(subject: OutlierSubject): OutlierTrack {
    const track = new OutlierTrack(subject, this.#context.runtime.clock, this.#context.judge, {
      onRecord: () => this.#onRecord(track),
    })
    this.#tracks.add(track)
    return track
  }

  forget(track: OutlierTrack): void {
    this.#tracks.delete(track)
    this.#cancelReturn(track)
  }

  /** An active check of the endpoint has passed. */
  onCheckPassed(track: OutlierTrack): void {
    const { checksUneject = true } = this.#options
    const { ejection } = track
    // A check says that somebody is there; it knows nothing of rates and latencies. Where it was wrong, requests having
    // failed again since, it is not believed twice.
    if (!checksUneject || ejection?.times !== 1 || !ejection.reason.code.startsWith('consecutive')) return
    if (++track.passes >= this.#context.healthyAfter) this.#comeBack(track, 'active checks pass')
  }

  close(): void {
    this.#closed = true
    this.#sweep?.cancel()
    for (const timer of this.#returns.values()) timer.cancel()
    this.#returns.clear()
  }

  #onRecord(track: OutlierTrack): void {
    if (this.#closed || !this.#tracks.has(track)) return
    this.#sweep ??= this.#scheduleSweep()
    const { errorsInARow, gatewayErrorsInARow } = track
    if (gatewayErrorsInARow >= this.#consecutiveGatewayErrors) {
      this.#found(track, {
        code: 'consecutive-gateway-errors',
        message: `${gatewayErrorsInARow} requests in a row got no answer, or a gateway's error`,
      })
    } else if (errorsInARow >= this.#consecutiveErrors) {
      this.#found(track, {
        code: 'consecutive-errors',
        message: `${errorsInARow} requests in a row have failed`,
      })
    }
  }

  #scheduleSweep(): Timer {
    const { clock } = this.#context.runtime
    return clock.schedule(clock.now() + this.#interval, () => this.#onSweep())
  }

  #onSweep(): void {
    this.#sweep = undefined
    this.#compareSuccess()
    this.#compareLatency()
    let busy = false
    for (const track of this.#tracks) {
      if (track.requests > 0 || track.ejections > 0) busy = true
      if (!track.wasOut && track.ejections > 0) track.ejections--
      track.wasOut = track.ejection !== undefined
      track.resetInterval()
    }
    // The first request after a silence begins the next interval.
    if (busy) this.#sweep = this.#scheduleSweep()
  }

  #compareSuccess(): void {
    const { successRate = {} } = this.#options
    if (successRate === false) return
    const { deviations = 1.9, margin = 0.05, minimumRequests = 100, minimumEndpoints = 5 } = successRate
    const samples = [...this.#tracks]
      .filter(({ requests }) => requests >= minimumRequests)
      .map((track) => ({ of: track, requests: track.requests, successes: track.successes }))
    if (samples.length < minimumEndpoints) return
    const found = lowSuccess(samples, deviations, margin).sort((a, b) => a.value - b.value)
    for (const { of, value, limit } of found) {
      const { requests } = of
      this.#found(of, {
        code: 'success-rate',
        message: `${percent(value)} of ${requests} requests were good, of ${samples.length} endpoints each should reach ${percent(limit)}`,
      })
    }
  }

  #compareLatency(): void {
    const { latency = false } = this.#options
    if (latency === false) return
    const { factor = 3, minimumRequests = 50, minimumEndpoints = 3 } = latency
    const samples = [...this.#tracks]
      .filter(({ latencies }) => latencies.total >= minimumRequests)
      .map((track) => ({ of: track, median: track.latencies.quantile(0.5)! }))
    if (samples.length < minimumEndpoints) return
    const found = highLatency(samples, factor, this.#latencyMargin).sort((a, b) => b.value - a.value)
    for (const { of, value, limit } of found) {
      this.#found(of, {
        code: 'latency',
        message: `half of the requests took ${formatDuration(value)} or more, at most ${formatDuration(limit)} is usual for the others`,
      })
    }
  }

  /** Takes an endpoint out, if as many may be out. */
  #found(track: OutlierTrack, reason: OutlierReason): void {
    const { dryRun = false } = this.#options
    const allowed = this.#mayEject()
    const outcome = !allowed ? 'too-many-out' : dryRun ? 'dry-run' : 'ejected'
    const { id, metricsName } = track.subject
    this.#detections.add(1, {
      'server.address': metricsName,
      'banyan.reason': reason.code,
      'banyan.outcome': outcome,
    })
    const about = { 'banyan.service': this.#context.service, 'server.address': id, reason: reason.message }
    if (!allowed) {
      this.#log('warn', 'endpoint not ejected, as too many are out already', about)
      track.resetCounts()
      return
    }
    const { clock } = this.#context.runtime
    const now = clock.now()
    const times = track.ejections + 1
    const time = this.#ejectionTime(times)
    const ejection: Ejection = { since: now, until: now + time, reason, times, dryRun }
    track.eject(ejection)
    this.#returns.set(
      track,
      clock.schedule(ejection.until, () => this.#comeBack(track, 'its time is over')),
    )
    this.#sweep ??= this.#scheduleSweep()
    this.#log('warn', `endpoint ejected for ${formatDuration(time)}${dryRun ? ' (dry run)' : ''}`, about)
    this.#context.onChange()
  }

  #comeBack(track: OutlierTrack, why: string): void {
    this.#cancelReturn(track)
    const dryRun = track.ejection?.dryRun === true
    track.comeBack()
    if (!dryRun) track.subject.startSlowly()
    this.#log('info', `endpoint no longer ejected${dryRun ? ' (dry run)' : ''}`, {
      'banyan.service': this.#context.service,
      'server.address': track.subject.id,
      reason: why,
    })
    this.#context.onChange()
  }

  #cancelReturn(track: OutlierTrack): void {
    this.#returns.get(track)?.cancel()
    this.#returns.delete(track)
  }

  #mayEject(): boolean {
    const { maxEjected = 0.1 } = this.#options
    let total = 0
    let out = 0
    for (const { subject, ejection } of this.#tracks) {
      if (subject.weight <= 0) continue
      total++
      if (ejection || subject.admitting === 0) out++
    }
    // Of ten endpoints 0.3 are three, whatever 0.3 * 10 is in binary.
    const most = Math.min(total - 1, Math.max(1, Math.floor(maxEjected * total + 1e-9)))
    return out < most
  }

  #ejectionTime(times: number): number {
    const { jitter = 0.1 } = this.#options
    const time = Math.min(this.#maxEjection, this.#baseEjection * times)
    return time * (1 + jitter * this.#context.runtime.random.next())
  }

  #log(level: 'info' | 'warn', message: string, attributes: Record<string, string>): void {
    this.#context.runtime.telemetry.log(level, message, attributes)
  }
}

function orNever(count: number | false): number {
  return count === false ? Infinity : count
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)}%`
}
