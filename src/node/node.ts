import { duration, type Duration } from '../core/duration.js'
import { BanyanError } from '../core/errors.js'
import { systemClock, type Clock } from '../core/clock.js'
import { systemRandom } from '../core/random.js'
import type { HttpLimits } from '../traffic/http/limits.js'
import { Gateway, type GatewayState } from '../traffic/gateway/gateway.js'
import type { GatewaySpec } from '../traffic/gateway/spec.js'
import { AdminServer } from './admin/admin.js'
import { formatAddress, parseAddress } from './address.js'
import type { Log } from './log.js'
import { Metrics } from './metrics.js'
import { version } from './version.js'

/** Everything a node runs. */
export interface NodeSpec extends GatewaySpec {
  /** Where clients come in: `host:port`, `:port` or a port. */
  listen: readonly (string | number)[]
  /** Where operators come in; `false` for nowhere. */
  admin: string | number | false
  limits: Partial<HttpLimits>
  trust: readonly string[]
  drain: {
    /** Between failing readiness and taking no more connections, for load balancers to notice. */
    delay: Duration
    /** For requests in flight to finish; what is left then is cut. */
    grace: Duration
  }
}

/** What a node does at the moment. */
export type NodePhase = 'starting' | 'ready' | 'draining' | 'stopped'

/** What `GET /api/state` answers. */
export interface NodeState extends GatewayState {
  node: {
    version: string
    pid: number
    phase: NodePhase
    /** ISO 8601. */
    startedAt: string
    /** ms since the start. */
    uptime: number
    listen: string[]
  }
}

/** A running Banyan process: composes what its configuration asks for, and takes it down again in good order. */
export class Node {
  readonly #spec: NodeSpec
  readonly #log: Log
  readonly #clock: Clock
  readonly #gateway: Gateway
  readonly #metrics: Metrics
  readonly #admin: AdminServer | undefined
  readonly #startedAt: number
  readonly #listening: string[] = []
  #phase: NodePhase = 'starting'

  private constructor(spec: NodeSpec, log: Log, clock: Clock, metrics: Metrics, gateway: Gateway) {
    this.#spec = spec
    this.#log = log
    this.#clock = clock
    this.#startedAt = clock.now()
    this.#metrics = metrics
    this.#gateway = gateway
    this.#admin =
      spec.admin === false
        ? undefined
        : new AdminServer({
            ready: () => this.#phase === 'ready',
            state: () => this.state(),
            breakers: () => this.#gateway.breakers,
            metrics: this.#metrics,
          })
    for (const [name, breaker] of this.#gateway.breakers) {
      breaker.on('stateChange', ({ from, to, reason }) => {
        log(to === 'open' ? 'warn' : 'info', `circuit breaker ${from} -> ${to}`, {
          breaker: name,
          reason: reason.message,
        })
      })
    }
  }

  /**
   * Makes what a configuration asks for; nothing listens before {@link Node.start}.
   *
   * @throws {@link BanyanError} if it cannot be had
   */
  static async create(spec: NodeSpec, log: Log, clock: Clock = systemClock): Promise<Node> {
    const metrics = new Metrics(log)
    const runtime = { clock, random: systemRandom, telemetry: metrics }
    const gateway = await Gateway.open(spec, { runtime, limits: spec.limits, trust: spec.trust })
    return new Node(spec, log, clock, metrics, gateway)
  }

  /**
   * Opens the listeners: first the admin's, so that a failing start can be seen, then the clients'.
   *
   * @throws {@link BanyanError} `BANYAN_LISTEN` if an address cannot be had; nothing stays open then
   */
  async start(): Promise<void> {
    try {
      if (this.#admin && this.#spec.admin !== false) {
        const address = await open(this.#spec.admin, 'admin', (port, host) => this.#admin!.listen(port, host))
        this.#log('info', `admin on http://${address}`)
      }
      for (const each of this.#spec.listen) {
        const address = await open(each, 'listen', (port, host) => this.#gateway.listen(port, host))
        this.#listening.push(address)
        this.#log('info', `gateway on http://${address}`)
      }
    } catch (error) {
      await this.#gateway.close()
      await this.#admin?.close()
      throw error
    }
    this.#phase = 'ready'
  }

  state(): NodeState {
    return {
      node: {
        version,
        pid: process.pid,
        phase: this.#phase,
        startedAt: new Date(this.#clock.wall() - (this.#clock.now() - this.#startedAt)).toISOString(),
        uptime: Math.round(this.#clock.now() - this.#startedAt),
        listen: this.#listening,
      },
      ...this.#gateway.state(),
    }
  }

  /**
   * Shuts down without losing a request: readiness fails first, then new connections are refused, requests in
   * flight finish within the grace time, and what is left is cut.
   *
   * @param now - aborting it skips the waiting
   */
  async stop(now?: AbortSignal): Promise<void> {
    if (this.#phase === 'draining' || this.#phase === 'stopped') return
    this.#phase = 'draining'
    const cut = new AbortController()
    const clock = this.#clock
    const wait = (ms: number, then: () => void): void => {
      if (now?.aborted) {
        then()
        return
      }
      const timer = clock.schedule(clock.now() + ms, then)
      const hurry = (): void => {
        timer.cancel()
        then()
      }
      now?.addEventListener('abort', hurry, { once: true })
      cut.signal.addEventListener('abort', () => timer.cancel(), { once: true })
    }
    const delay = duration(this.#spec.drain.delay, 'drain.delay')
    if (delay > 0) await new Promise<void>((resolve) => wait(delay, resolve))
    wait(duration(this.#spec.drain.grace, 'drain.grace'), () => {
      if (!cut.signal.aborted)
        this.#log(
          'warn',
          `${now?.aborted ? 'told to hurry' : 'the grace time is over'}, remaining requests are cut`,
        )
      cut.abort()
    })
    await this.#gateway.close(cut.signal)
    cut.abort()
    await this.#admin?.close()
    this.#phase = 'stopped'
  }
}

/** Opens one listener and says where; an error tells which setting is at fault. */
async function open(
  setting: string | number,
  name: string,
  listen: (port: number, host: string) => Promise<{ address: string; port: number }>,
): Promise<string> {
  const { host, port } = parseAddress(setting)
  try {
    return formatAddress(await listen(port, host))
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const why =
      code === 'EADDRINUSE'
        ? `the port is in use by another process; stop that, or choose another port`
        : code === 'EACCES'
          ? 'this user may not listen there; choose a port of 1024 or above'
          : message
    throw new BanyanError('BANYAN_LISTEN', `${name}: cannot listen on ${host}:${port}: ${why}`, {
      cause: error,
    })
  }
}
