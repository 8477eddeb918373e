import { duration } from '../core/duration.js'
import { BanyanError } from '../core/errors.js'
import { systemClock, type Clock } from '../core/clock.js'
import type { Runtime } from '../core/runtime.js'
import { Gateway, type GatewayOptions, type GatewayState } from '../traffic/gateway/gateway.js'
import type { CircuitBreaker } from '../traffic/policies/circuit-breaker.js'
import { AdminListener } from './admin/listener.js'
import type { SubscriptionStatus } from '../events/pubsub/manage/index.js'
import { diffSpecs } from './config/diff.js'
import type { EventsState, HostedLog } from './events/hosted-log.js'
import type { PreparedSubscriptions } from './events/subscriptions.js'
import { hostLog } from './events/index.js'
import type { ConfigProblem } from './config/problem.js'
import { type Applied, Configuration, hashOf, type ConfigurationState, type Origin } from './configuration.js'
import { refuseRestructuring, type ApplyOptions, type Control, type Running } from './control.js'
import { Listeners } from './listeners.js'
import type { Log } from './log.js'
import type { Explanation } from './explain/explanation.js'
import type { Metrics } from './metrics.js'
import { Observation } from './observation.js'
import { CaptureHost } from './cdc/index.js'
import type { HostedCoordinator } from './coordination/hosted-coordinator.js'
import { fencesOf, hostCoordinator } from './coordination/index.js'
import type { CoordinationState } from './coordination/state.js'
import type { HostedRegistry } from './registry/hosted-registry.js'
import { hostRegistry } from './registry/index.js'
import type { RegisteredState } from './registry/state.js'
import { KindsHost } from './controllers/index.js'
import type { HostedKindsState } from './controllers/state.js'
import { ShardsHost } from './shards/index.js'
import type { HostedShardsState } from './shards/state.js'
import type { CaptureControl, HostedCaptureState } from './cdc/state.js'
import type { OutboxState } from './outboxes/state.js'
import { ProjectionHost } from './projections/index.js'
import type { HostedProjectionState, ProjectionControl } from './projections/state.js'
import { ProjectionWatch } from './projections/watch.js'
import { ReplicaHost } from './replicas/index.js'
import type { HostedReplicasState } from './replicas/state.js'
import { SagaHost } from './sagas/index.js'
import type { SagaKindState, SagaStarter } from './sagas/state.js'
import { gatewaySpecOf, type NodeSpec } from './spec.js'
import { version } from './version.js'

export type { NodeSpec } from './spec.js'

/** What a node does at the moment. */
export type NodePhase = 'starting' | 'ready' | 'draining' | 'stopped'

/** What `GET /api/state` answers. */
export interface NodeState extends GatewayState {
  node: {
    version: string
    pid: number
    phase: NodePhase
    /** Services that have no endpoint yet, and a log that is to catch up, while `/readyz` says that it waits for them; otherwise missing. */
    waiting?: readonly string[]
    /** ISO 8601. */
    startedAt: string
    /** ms since the start. */
    uptime: number
    /** URLs without a path. */
    listen: string[]
  }
  config: ConfigurationState
  /** The event log that the node hosts. */
  events?: EventsState
  /** How far the subscriptions of that log are, whoever runs them; the first 100. */
  subscriptions?: Readonly<Record<string, SubscriptionStatus>>
  /** How far the outboxes are that the node relays. */
  outboxes?: readonly OutboxState[]
  /** How far the projections of the node are. */
  projections?: Readonly<Record<string, HostedProjectionState>>
  /** How far its captures are. */
  captures?: readonly HostedCaptureState[]
  /** The sagas of that log by name: how many are parked, and what the node does about them. */
  sagas?: Readonly<Record<string, SagaKindState>>
  /** Where elections, locks, jobs and the registry are. */
  coordination?: CoordinationState
  /** What the node keeps in the registry there, by the name of the entry. */
  registered?: Readonly<Record<string, RegisteredState>>
  /** The applications in several databases whose moves it makes, by name. */
  shards?: Readonly<Record<string, HostedShardsState>>
  /** The kinds that it serves, and the controllers that work on them. */
  resources?: HostedKindsState
  /** Databases with followers that the node watches, and its log as one of several copies. */
  replicas?: readonly HostedReplicasState[]
  /** With several: each worker, and how many have taken the place of one that ended. */
  workers?: WorkerState[]
  restarts?: number
}

/** What is told of one worker. */
export interface WorkerState {
  pid: number
  connections: number
}

/** How long after its start a node waits for the registry before it says that it is ready all the same, in ms. */
const PATIENCE = 15_000

/**
 * A running Banyan process: composes what its configuration asks for, changes it while it runs, and takes it down
 * again in good order.
 */
export class Node implements Running {
  readonly #log: Log
  readonly #clock: Clock
  readonly #gateway: Gateway
  readonly #observation: Observation
  readonly #events: HostedLog | undefined
  readonly #projections: ProjectionHost
  readonly #captures: CaptureHost
  readonly #projectionWatch: ProjectionWatch
  readonly #sagas: SagaHost
  readonly #coordination: HostedCoordinator | undefined
  readonly #registry: HostedRegistry | undefined
  readonly #shards: ShardsHost
  readonly #resources: KindsHost
  readonly #replicas: ReplicaHost
  readonly #listeners: Listeners
  readonly #admin: AdminListener
  readonly #configuration: Configuration
  readonly #startedAt: number
  #spec: NodeSpec
  #phase: NodePhase = 'starting'
  #control: Control | undefined = undefined
  /** What begins with the start. */
  #subscriptions: PreparedSubscriptions | undefined

  private constructor(
    spec: NodeSpec,
    log: Log,
    clock: Clock,
    observation: Observation,
    events: HostedLog | undefined,
    subscriptions: PreparedSubscriptions | undefined,
    projections: ProjectionHost,
    captures: CaptureHost,
    sagas: SagaHost,
    coordination: HostedCoordinator | undefined,
    registry: HostedRegistry | undefined,
    replicas: ReplicaHost,
    gateway: Gateway,
    origin: Origin,
  ) {
    this.#spec = spec
    this.#subscriptions = subscriptions
    this.#log = log
    this.#clock = clock
    this.#startedAt = clock.now()
    this.#observation = observation
    this.#events = events
    this.#projections = projections
    this.#captures = captures
    this.#projectionWatch = new ProjectionWatch(clock)
    this.#sagas = sagas
    this.#coordination = coordination
    this.#registry = registry
    this.#shards = new ShardsHost(coordination, observation.runtime)
    this.#resources = new KindsHost(coordination, observation.runtime)
    this.#replicas = replicas
    this.#gateway = gateway
    this.#listeners = new Listeners(gateway, log, clock)
    this.#configuration = new Configuration(spec, origin, clock, observation.runtime.telemetry, log)
    this.#admin = new AdminListener(
      {
        ready: () => this.#phase === 'ready',
        waiting: () => this.#waiting,
        state: () => this.fullState(),
        events: () => events,
        projections: () => projections.control,
        captures: () => captures.control,
        sagas: () => sagas.starter,
        coordination: () => coordination,
        replicas: () => replicas.control,
        resources: () => this.#resources.handler,
        spec: () => this.#spec,
        configuration: () => this.#configuration.state,
        breakers: () => this.breakers,
        control: () => this.#control,
        metrics: observation.metrics,
        explain: (id) => this.explain(id),
        purge: (which) => this.purge(which),
      },
      log,
    )
  }

  /**
   * Makes what a configuration asks for; nothing listens before {@link Node.start}.
   *
   * @param origin - where the configuration comes from, for those who ask the node
   * @param env - what says where traces and metrics are exported to
   * @param counts - where quotas and rates are counted together with other processes
   * @throws {@link BanyanError} if it cannot be had
   */
  static async create(
    spec: NodeSpec,
    log: Log,
    clock: Clock = systemClock,
    origin: Origin = { by: 'program' },
    env: Readonly<Record<string, string | undefined>> = process.env,
    counts: Pick<GatewayOptions, 'quotaStore' | 'rateStores'> = {},
  ): Promise<Node> {
    const observation = await Observation.open(spec, log, clock, env)
    const { runtime, onReport } = observation
    let hosted: HostedLog | undefined
    let coordination: HostedCoordinator | undefined
    let replicas: ReplicaHost | undefined
    try {
      const { limits, trust, events } = spec
      const role = (spec.workers ?? 1) === 1 ? 'alone' : 'worker'
      hosted = events && (await hostLog(events, runtime, log, role))
      coordination = spec.coordination && (await hostCoordinator(spec.coordination, runtime, log))
      const registry = coordination && (await hostRegistry(coordination, runtime))
      // The supervisor does that for all.
      const watched = role === 'worker' ? {} : spec
      replicas = await ReplicaHost.open(watched, hosted, coordination, runtime)
      const projections = await ProjectionHost.open(spec, hosted?.log, runtime)
      const captures = await CaptureHost.open(spec, hosted?.log, runtime)
      const sagas = await SagaHost.open(spec, hosted?.log, runtime)
      const gateway = await Gateway.open(gatewaySpecOf(spec), {
        ...{ runtime, limits, trust, onReport, ...counts },
        ...(registry && { source: registry.source }),
        ...(coordination && { fencing: fencesOf(coordination, runtime) }),
        ...(hosted && { events: (route, closing) => hosted!.handlerOf(route, closing) }),
      })
      const subscriptions = await hosted?.prepareTopics(spec, gateway)
      return new Node(
        spec,
        log,
        clock,
        observation,
        hosted,
        subscriptions,
        projections,
        captures,
        sagas,
        coordination,
        registry,
        replicas,
        gateway,
        origin,
      )
    } catch (error) {
      await replicas?.close()
      await coordination?.close()
      await hosted?.close()
      await observation.close()
      throw error
    }
  }

  /** Opens log files anew, after they were moved away. */
  reopenLogs(): void {
    this.#observation.reopen()
  }

  /** Lets the admin listener pass on to `control` what operators want to change. */
  controlledBy(control: Control): void {
    this.#control = control
  }

  /**
   * Opens the listeners: first the admin's, so that a failing start can be seen, then the clients'.
   *
   * @throws {@link BanyanError} `BANYAN_LISTEN` if an address cannot be had; nothing stays open then
   */
  async start(): Promise<void> {
    try {
      const admin = await this.#admin.prepare(this.#spec.admin)
      admin.commit()
      const listeners = await this.#listeners.prepare(this.#spec.listen)
      listeners.commit(0)
      this.#subscriptions?.commit()
      this.#projections.begin()
      await this.#events?.relay(this.#spec)
      this.#captures.begin()
      this.#sagas.begin()
      if (!this.#isWorker) {
        this.#registry?.register(this.#spec)
        await this.#shards.follow(this.#spec)
        const serve = await this.#resources.prepare(this.#spec)
        serve()
      }
    } catch (error) {
      await this.#subscriptions?.discard()
      await this.#gateway.close()
      await this.#admin.close()
      await this.#resources.close()
      await this.#shards.close()
      await this.#registry?.close()
      await this.#replicas.close()
      await this.#coordination?.close()
      await this.#events?.close()
      await this.#observation.close()
      throw error
    }
    this.#phase = 'ready'
  }

  /**
   * Changes everything that the configuration says, at once and as a whole. What stays the same goes on: listeners
   * with their connections, services with their pools and breakers, rates. Requests under way finish under what they
   * began with; a listener that is gone drains within `drain.grace`. Changes wait for each other.
   *
   * @param origin - who asks for it, for those who ask the node
   * @throws {@link BanyanError} `BANYAN_STALE_CHANGE` if another generation is in force than `ifGeneration`,
   *   `BANYAN_NOT_RUNNING` before the start and from the beginning of a shutdown, `BANYAN_LISTEN` if an address cannot
   *   be had, or what the gateway finds wrong; nothing has changed then
   */
  apply(spec: NodeSpec, origin: Origin = { by: 'program' }, options: ApplyOptions = {}): Promise<Applied> {
    return this.#configuration.inTurn(() => this.#change(spec, origin, options))
  }

  /** Notes a configuration that was refused before it got here. */
  refuse(origin: Origin, problems: readonly ConfigProblem[]): void {
    this.#configuration.refused(origin, problems)
  }

  /** Every breaker by its name. */
  get breakers(): ReadonlyMap<string, CircuitBreaker> {
    return this.#gateway.breakers
  }

  /** What it measures. */
  get metrics(): Metrics {
    return this.#observation.metrics
  }

  /** Why requests were refused: that of an id, or the last ones. */
  explain(id: string | undefined): readonly Explanation[] {
    return this.#observation.explainer.find(id)
  }

  /** Forgets answers that are kept; see {@link Gateway.purge}. */
  purge(which: Parameters<Gateway['purge']>[0]): number {
    return this.#gateway.purge(which)
  }

  /** Its projections, if it ever had some. */
  get projections(): ProjectionControl | undefined {
    return this.#projections.control
  }

  /** Its captures, if it ever had some. */
  get captures(): CaptureControl | undefined {
    return this.#captures.control
  }

  /** Its sagas, if it ever had some. */
  get sagas(): SagaStarter | undefined {
    return this.#sagas.starter
  }

  get runtime(): Runtime {
    return this.#observation.runtime
  }

  get coordinator(): HostedCoordinator | undefined {
    return this.#coordination
  }

  /** The configuration in force. */
  get spec(): NodeSpec {
    return this.#spec
  }

  get configuration(): ConfigurationState {
    return this.#configuration.state
  }

  state(): NodeState {
    const isBehind = this.#events?.replica?.waiting !== undefined
    const waiting = [...this.#waiting, ...(isBehind ? ['the event log'] : [])]
    return {
      node: {
        version,
        pid: process.pid,
        phase: this.#phase,
        // The supervisor answers `/readyz` by itself.
        ...(waiting.length > 0 && !this.#isWorker && { waiting }),
        startedAt: new Date(this.#clock.wall() - (this.#clock.now() - this.#startedAt)).toISOString(),
        uptime: Math.round(this.#clock.now() - this.#startedAt),
        listen: this.#listeners.urls,
      },
      config: this.#configuration.state,
      ...this.#gateway.state(),
      ...(this.#sagas.states && { sagas: this.#sagas.states }),
    }
  }

  /** With what takes asking others. */
  async fullState(): Promise<NodeState> {
    const [events, projections, captures, coordination, replicas] = await Promise.all([
      this.#events?.state(),
      this.#projectionWatch.look(this.projections),
      this.captures?.list(),
      this.#coordination?.state(),
      this.#replicas.control?.list(),
    ])
    const sagas = this.#events?.sagas(this.#sagas.states)
    return {
      ...this.state(),
      ...(events && { events, subscriptions: this.#events!.subscriptions }),
      ...(sagas && { sagas }),
      ...(this.#events?.outboxes && { outboxes: this.#events.outboxStates }),
      ...(this.projections && { projections }),
      ...(captures && { captures }),
      ...(coordination && { coordination }),
      ...(this.#registry?.registered && { registered: this.#registry.registered }),
      ...(this.#shards.states && { shards: this.#shards.states }),
      ...(this.#resources.state && { resources: this.#resources.state }),
      ...(replicas && { replicas }),
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
    await Promise.all([
      delay > 0 && new Promise<void>((resolve) => wait(delay, resolve)),
      // Whoever finds this node, or what stands behind it, in the registry is to know before anybody is refused.
      this.#registry?.drain(now),
    ])
    wait(duration(this.#spec.drain.grace, 'drain.grace'), () => {
      if (!cut.signal.aborted)
        this.#log(
          'warn',
          `${now?.aborted ? 'told to hurry' : 'the grace time is over'}, remaining requests are cut`,
        )
      cut.abort()
    })
    // Those who follow events would wait for ever; what they have not seen they get where they go on.
    this.#events?.endFollowers()
    this.#coordination?.endFollowers()
    await Promise.all([
      this.#events?.stopPushing(cut.signal),
      Promise.race([
        this.#sagas.close(),
        new Promise((resolve) => cut.signal.addEventListener('abort', resolve)),
      ]),
      this.#gateway.close(cut.signal),
    ])
    cut.abort()
    await this.#admin.close()
    await this.#captures.close()
    await this.#projections.close()
    await this.#resources.close()
    await this.#shards.close()
    await this.#registry?.close()
    await this.#replicas.close()
    await this.#coordination?.close()
    await this.#events?.close()
    await this.#observation.close()
    this.#phase = 'stopped'
  }

  /** The process of a worker leaves to the supervisor what is to be done once. */
  get #isWorker(): boolean {
    return (this.#spec.workers ?? 1) !== 1
  }

  /** What a request would find nowhere, as the registry has not answered yet; not for ever, as all else works. */
  get #waiting(): readonly string[] {
    const isPatient = this.#clock.now() - this.#startedAt < PATIENCE
    return isPatient ? this.#gateway.waiting : []
  }

  async #change(
    spec: NodeSpec,
    origin: Origin,
    { ifGeneration, dryRun = false }: ApplyOptions,
  ): Promise<Applied> {
    this.#configuration.expect(this.#phase, ifGeneration)
    refuseRestructuring(this.#spec, spec)
    const changes = diffSpecs(this.#spec, spec)
    const { limits, trust, drain } = spec
    const discards: (() => unknown)[] = []
    try {
      const gateway = await this.#gateway.prepare(gatewaySpecOf(spec), { limits, trust })
      discards.unshift(() => gateway.discard())
      if (dryRun) {
        gateway.discard()
        return { generation: this.#configuration.state.generation, hash: hashOf(spec), changes }
      }
      const observation = await this.#observation.prepare(spec)
      discards.unshift(() => observation.discard())
      const changeEvents = spec.events && (await this.#events?.prepare(spec.events))
      const topics = await this.#events?.prepareTopics(spec, this.#gateway)
      discards.unshift(() => topics?.discard())
      const changeProjections = await this.#projections.prepare(spec)
      const changeCaptures = await this.#captures.prepare(spec)
      const changeSagas = await this.#sagas.prepare(spec)
      const changeResources = await this.#resources.prepare(this.#isWorker ? {} : spec)
      const replicas = await this.#replicas.prepare(this.#isWorker ? {} : spec)
      discards.unshift(() => replicas?.discard())
      const admin = await this.#admin.prepare(spec.admin)
      discards.unshift(() => admin.discard())
      const listeners = await this.#listeners.prepare(spec.listen)
      discards.unshift(() => listeners.discard())
      // A shutdown that has begun in the meantime goes first.
      if (this.state().node.phase !== 'ready')
        throw new BanyanError('BANYAN_NOT_RUNNING', 'the node is shutting down and takes no changes')
      observation.commit()
      gateway.commit()
      changeEvents?.()
      topics?.commit()
      changeProjections()
      changeCaptures()
      changeSagas()
      changeResources()
      replicas?.commit()
      if (!this.#isWorker) this.#registry?.register(spec)
      listeners.commit(duration(drain.grace, 'drain.grace'))
      admin.commit()
    } catch (error) {
      for (const discard of discards) await discard()
      throw error
    }
    this.#spec = spec
    await this.#events?.relay(spec)
    if (!this.#isWorker) await this.#shards.follow(spec)
    return this.#configuration.applied(spec, origin, changes)
  }
}
