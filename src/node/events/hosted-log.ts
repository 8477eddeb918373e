import { bytes } from '../../core/bytes.js'
import { BanyanError } from '../../core/errors.js'
import type { HttpHandler } from '../../core/http-handler.js'
import type { Runtime } from '../../core/runtime.js'
import { noTelemetry, type Telemetry } from '../../core/telemetry.js'
import { DriverLog } from '../../events/event-log.js'
import { eventsOverHttp, type EventsHttpOptions } from '../../events/http/index.js'
import type { Capabilities, EventLog, LogStats } from '../../events/log.js'
import type { SubscriptionStatus } from '../../events/pubsub/manage/index.js'
import { deliverScheduled } from '../../events/pubsub/scheduled/scheduler.js'
import type { EventsRouteSpec } from '../../traffic/gateway/index.js'
import type { Log } from '../log.js'
import type { HostedOutboxes } from '../outboxes/hosted-outboxes.js'
import type { OutboxControl, OutboxState } from '../outboxes/state.js'
import type { HostedSagaState, SagaKindState } from '../sagas/state.js'
import { SagaWatch } from '../sagas/watch.js'
import { logSpecOf, type EventsSpec, type NodeSpec } from '../spec.js'
import { KnownTypes } from './known-types.js'
import { LogReplica } from './log-replica.js'
import { LogWatch } from './log-watch.js'
import type { ServiceRequests } from './push-sender.js'
import { LogRetention } from './retention.js'
import { SubscriptionWatch } from './subscription-watch.js'
import { HostedSubscriptions, type PreparedSubscriptions } from './subscriptions.js'

/** What `banyan status` and `GET /api/events/stats` tell of the log. */
export interface EventsState extends Pick<Capabilities, 'driver' | 'durable' | 'shared'>, Partial<LogStats> {
  driver: string
  /** Why the log could not be asked; then there are no counts. */
  problem?: string
}

/**
 * Which process of a node opens the log. Of several, workers measure what they append and read; the supervisor tells
 * what is there and removes what is too old.
 */
export type LogRole = 'alone' | 'worker' | 'supervisor'

/** The event log of a node: opened at its start, given to the routes and the operators, closed at its end. */
export class HostedLog {
  readonly log: EventLog
  readonly #types: KnownTypes
  readonly #runtime: Runtime
  readonly #spec: EventsSpec
  readonly #watch: LogWatch
  readonly #subscriptions: SubscriptionWatch | undefined
  readonly #sagas: SagaWatch | undefined
  readonly #retention: LogRetention | undefined
  /** Messages that clients schedule are published also if nobody has subscribed here: others may read their topic. */
  #endScheduled: (() => Promise<void>) | undefined = undefined
  readonly #closing: AbortController
  /** The log as one of several copies, if its driver can have some. */
  readonly replica: LogReplica | undefined
  #handler: HttpHandler | undefined = undefined
  #topics: NodeSpec['topics'] = undefined
  #messages: HostedSubscriptions | undefined = undefined
  readonly #role: LogRole
  #outboxes: HostedOutboxes | undefined = undefined
  #outboxStates: readonly OutboxState[] = []

  private constructor(
    log: EventLog,
    replica: LogReplica | undefined,
    types: KnownTypes,
    spec: EventsSpec,
    runtime: Runtime,
    role: LogRole,
    closing: AbortController,
  ) {
    this.log = log
    this.replica = replica
    this.#closing = closing
    this.#role = role
    this.#types = types
    this.#spec = spec
    this.#runtime = runtime
    this.#watch = new LogWatch(log, runtime, role !== 'worker')
    this.#subscriptions = role === 'worker' ? undefined : new SubscriptionWatch(log, runtime)
    this.#sagas = role === 'worker' ? undefined : new SagaWatch(log, runtime)
    this.#retention = role === 'worker' ? undefined : new LogRetention(log, runtime)
    this.#retention?.follow(spec.retention)
    const deliver = (): void => {
      this.#endScheduled = deliverScheduled(log, runtime)
    }
    if (role === 'worker') return
    if (replica) replica.whenLeading(deliver)
    else deliver()
  }

  /**
   * Opens the log.
   *
   * @throws {@link BanyanError} with the code of the driver if it cannot be opened
   */
  static async open(spec: EventsSpec, runtime: Runtime, write: Log, role: LogRole): Promise<HostedLog> {
    const { openDriver } = await import('../../drivers/open-log.js')
    const types = await KnownTypes.load(spec)
    const closing = new AbortController()
    let log: EventLog
    let replica: LogReplica | undefined
    try {
      const own = role === 'supervisor' ? { ...runtime, telemetry: logsOnly(runtime.telemetry) } : runtime
      const options = { ...spec.limits, transforms: [types], runtime: own }
      const driver = await openDriver(logSpecOf(spec), own)
      replica = await LogReplica.open(driver, spec.follow, {
        log: { ...spec.limits, transforms: [types] },
        ...{
          runtime: own,
          closing: closing.signal,
          write,
          telemetry: role === 'worker' ? noTelemetry : runtime.telemetry,
        },
      })
      log = replica?.log ?? new DriverLog(driver, options)
    } catch (error) {
      if (!(error instanceof BanyanError)) throw error
      throw new BanyanError(error.code as `BANYAN_${string}`, `events: ${error.message}`, { cause: error })
    }
    const { driver, durable } = log.capabilities
    if (role !== 'worker') write('info', 'event log open', { driver, durable })
    return new HostedLog(log, replica, types, spec, runtime, role, closing)
  }

  /**
   * Makes ready what can change while the log is open: the types that are taken, and how long events are kept.
   *
   * @returns puts it into force
   * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` if it cannot be had; nothing has changed then
   */
  async prepare(spec: EventsSpec): Promise<() => void> {
    const changeTypes = await this.#types.prepare(spec)
    return () => {
      changeTypes()
      this.#retention?.follow(spec.retention)
    }
  }

  /**
   * Takes part in the subscriptions of a configuration, and makes its topics ready.
   *
   * @param requests - asks services
   * @throws {@link BanyanError} that says which subscription cannot be had; nothing has changed then
   */
  async prepareTopics(spec: NodeSpec, requests: ServiceRequests): Promise<PreparedSubscriptions> {
    this.#messages ??= new HostedSubscriptions(this.log, this.#runtime, requests)
    const subscriptions = await this.#messages.prepare(spec)
    return {
      commit: () => {
        this.#topics = spec.topics
        subscriptions.commit()
      },
      discard: () => subscriptions.discard(),
    }
  }

  /**
   * Relays the outboxes of a configuration to the log from now on; of several processes of a node only one does. What that
   * takes is loaded only if there are some.
   */
  async relay({ outboxes = {} }: Pick<NodeSpec, 'outboxes'>): Promise<void> {
    if (this.#role === 'worker' || (!this.#outboxes && Object.keys(outboxes).length === 0)) return
    const { HostedOutboxes } = await import('../outboxes/hosted-outboxes.js')
    this.#outboxes ??= new HostedOutboxes(this.log, this.#runtime)
    this.#outboxes.follow(outboxes)
  }

  /** The outboxes that are relayed here, if there ever were some. */
  get outboxes(): OutboxControl | undefined {
    return this.#outboxes
  }

  /** Sends no more messages, and waits for those on their way until `cut` aborts. */
  async stopPushing(cut: AbortSignal): Promise<void> {
    await this.#messages?.stop(cut)
  }

  /**
   * What answers a route with `events`.
   *
   * @param closing - ends those who follow there
   */
  handlerOf(route: EventsRouteSpec, closing: AbortSignal): HttpHandler {
    return this.#handlerOf({ ...route, closing: AbortSignal.any([closing, this.#closing.signal]) })
  }

  /** For operators, who may do everything. */
  get handler(): HttpHandler {
    return (this.#handler ??= this.#handlerOf({
      actor: 'given',
      operators: true,
      allow: ['append', 'read', 'consume', 'replicate'],
      closing: this.#closing.signal,
    }))
  }

  /** Why the log could not be asked the last time somebody has tried. */
  get problem(): string | undefined {
    return this.#watch.problem ?? this.replica?.problem
  }

  async state(): Promise<EventsState> {
    const { driver, durable, shared } = this.log.capabilities
    const [found, , , outboxes] = await Promise.all([
      this.#watch.look(),
      this.#subscriptions?.look(),
      this.#sagas?.look(),
      // For the gauges, too.
      this.#outboxes?.list(),
    ])
    this.#outboxStates = outboxes ?? []
    if (typeof found === 'string') return { driver, durable, shared, problem: found }
    return { ...found, driver, durable, shared }
  }

  /** How far the outboxes are that are relayed here, as of the last {@link HostedLog.state}. */
  get outboxStates(): readonly OutboxState[] {
    return this.#outboxStates
  }

  /** How far the subscriptions of the log are, as of the last {@link HostedLog.state}. */
  get subscriptions(): Readonly<Record<string, SubscriptionStatus>> {
    return this.#subscriptions?.statuses ?? {}
  }

  /**
   * The sagas of the log by name, as of the last {@link HostedLog.state}; undefined if there are none.
   *
   * @param hosted - those that the node runs
   */
  sagas(
    hosted: Readonly<Record<string, HostedSagaState>> | undefined,
  ): Readonly<Record<string, SagaKindState>> | undefined {
    return this.#sagas?.with(hosted)
  }

  /** Aborts when those who follow are to come back elsewhere. */
  get closing(): AbortSignal {
    return this.#closing.signal
  }

  /** Ends what never ends by itself: those who follow are told to come back elsewhere. */
  endFollowers(): void {
    this.#closing.abort()
  }

  async close(): Promise<void> {
    this.endFollowers()
    this.#watch.close()
    this.#subscriptions?.close()
    await this.#outboxes?.close()
    this.#sagas?.close()
    await this.#messages?.close()
    await this.#retention?.close()
    await this.#endScheduled?.()
    await (this.replica ?? this.log).close()
  }

  #handlerOf(options: EventsHttpOptions): HttpHandler {
    const { limits: { commitBytes } = {} } = this.#spec
    const bodyBytes = commitBytes === undefined ? undefined : bytes(commitBytes)
    return eventsOverHttp(this.log, {
      ...options,
      topics: () => this.#topics,
      findSubscription: (name) => this.#messages?.find(name),
      ...(this.replica && { replica: this.replica.handler, copy: this.replica }),
      ...(bodyBytes !== undefined && { bodyBytes }),
      runtime: this.#runtime,
    })
  }
}

/** What is counted here would stand in the place of what the workers have counted. */
function logsOnly(telemetry: Telemetry): Telemetry {
  return { ...noTelemetry, log: (level, message, attributes) => telemetry.log(level, message, attributes) }
}
