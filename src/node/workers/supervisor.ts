import { AggregatorRegistry } from 'prom-client'
import { duration } from '../../core/duration.js'
import type { Clock } from '../../core/clock.js'
import type { Runtime } from '../../core/runtime.js'
import { systemRandom } from '../../core/random.js'
import type { BreakerSnapshot, Override } from '../../traffic/policies/circuit-breaker.js'
import type { BreakerControl } from '../admin/admin.js'
import { AdminListener } from '../admin/listener.js'
import { diffSpecs } from '../config/diff.js'
import type { ConfigProblem } from '../config/problem.js'
import type { HostedLog } from '../events/hosted-log.js'
import { hostLog } from '../events/index.js'
import type { HostedCoordinator } from '../coordination/hosted-coordinator.js'
import { hostCoordinator } from '../coordination/index.js'
import type { HostedRegistry } from '../registry/hosted-registry.js'
import { hostRegistry } from '../registry/index.js'
import { KindsHost } from '../controllers/index.js'
import { ShardsHost } from '../shards/index.js'
import {
  type Applied,
  Configuration,
  hashOf,
  type ConfigurationState,
  type Origin,
} from '../configuration.js'
import { refuseRestructuring, type ApplyOptions, type Control, type Running } from '../control.js'
import type { Explanation } from '../explain/explanation.js'
import type { Log } from '../log.js'
import { Metrics } from '../metrics.js'
import type { NodePhase, NodeState } from '../node.js'
import { ProjectionWatch } from '../projections/watch.js'
import { ReplicaHost } from '../replicas/index.js'
import type { SagaStarter } from '../sagas/state.js'
import type { NodeSpec } from '../spec.js'
import { CommonCounts } from './counts.js'
import { Crew } from './crew.js'
import { CrewCaptures } from './cdc.js'
import { CrewProjections } from './projections.js'
import { mergeBreakers, mergeMetrics, mergeStates } from './merge.js'

/**
 * A node of several processes that serve the same configuration on the same listeners. The kernel gives each new
 * connection to one of them. The listeners, the limits that all keep together, and the one admin listener belong to the
 * supervisor: a worker that crashes takes only its own connections with it, and another takes its place.
 */
export class Supervisor implements Running {
  readonly #log: Log
  readonly #clock: Clock
  readonly #crew: Crew
  readonly #metrics: Metrics
  readonly #admin: AdminListener
  readonly #configuration: Configuration
  readonly #counts: CommonCounts
  readonly #runtime: Runtime
  readonly #projectionWatch: ProjectionWatch
  /** What operators hold breakers at, so that a new worker holds them too. */
  readonly #overrides = new Map<string, { override: Override; until: number }>()
  #spec: NodeSpec
  #phase: NodePhase = 'starting'
  /** For operators; each worker opens the log for itself. */
  #events: HostedLog | undefined = undefined
  #coordination: HostedCoordinator | undefined = undefined
  /** For what the node registers; each worker finds endpoints for itself. */
  #registry: HostedRegistry | undefined = undefined
  #shards: ShardsHost | undefined = undefined
  #resources: KindsHost | undefined = undefined
  #replicas: ReplicaHost | undefined = undefined
  #control: Control | undefined = undefined

  constructor(spec: NodeSpec, log: Log, clock: Clock, origin: Origin) {
    this.#spec = spec
    this.#log = log
    this.#clock = clock
    this.#metrics = new Metrics(log)
    this.#runtime = { clock, random: systemRandom, telemetry: this.#metrics }
    this.#projectionWatch = new ProjectionWatch(clock)
    this.#counts = new CommonCounts(this.#runtime)
    this.#crew = new Crew({
      log,
      clock,
      handlers: this.#counts.handlers,
      spec: () => this.#spec,
      afterStart: () => this.#overridesNow().map((override) => ['force', override]),
    })
    this.#configuration = new Configuration(spec, origin, clock, this.#metrics, log)
    this.#metrics.gauge(
      'banyan.workers',
      { description: 'Workers that run.', unit: '{worker}' },
      () => this.#crew.size,
    )
    this.#admin = new AdminListener(
      {
        ready: () => this.#phase === 'ready' && this.#crew.size > 0,
        state: () => this.state(),
        spec: () => this.#spec,
        configuration: () => this.#configuration.state,
        breakers: () => this.#breakers(),
        control: () => this.#control,
        events: () => this.#events,
        projections: () => this.#projections,
        captures: () => this.#captures,
        sagas: () => this.#sagas,
        coordination: () => this.#coordination,
        replicas: () => this.#replicas?.control,
        resources: () => this.#resources?.handler,
        metrics: { contentType: this.#metrics.contentType, text: () => this.#metricsText() },
        explain: async (id) => (await this.#crew.askAll<Explanation[]>('explain', id)).flat(),
        purge: async (which) =>
          (await this.#crew.askAll<number>('purge', which)).reduce((sum, count) => sum + count, 0),
      },
      log,
    )
  }

  get spec(): NodeSpec {
    return this.#spec
  }

  get runtime(): Runtime {
    return this.#runtime
  }

  get coordinator(): HostedCoordinator | undefined {
    return this.#coordination
  }

  get configuration(): ConfigurationState {
    return this.#configuration.state
  }

  get #projections(): CrewProjections | undefined {
    return this.#spec.projections && new CrewProjections(this.#crew)
  }

  get #captures(): CrewCaptures | undefined {
    return this.#spec.cdc && new CrewCaptures(this.#crew)
  }

  get #sagas(): SagaStarter | undefined {
    if (!this.#spec.sagas) return undefined
    return { start: (name, input, options) => this.#crew.askOne('startSaga', { name, input, options }) }
  }

  controlledBy(control: Control): void {
    this.#control = control
  }

  reopenLogs(): void {
    void this.#crew.askAll('reopenLogs')
  }

  refuse(origin: Origin, problems: readonly ConfigProblem[]): void {
    this.#configuration.refused(origin, problems)
  }

  /**
   * Opens the admin listener and starts the workers.
   *
   * @throws {@link BanyanError} as `Node.create` and `Node.start`; nothing stays open then
   */
  async start(): Promise<void> {
    const { admin: setting, events, coordination } = this.#spec
    try {
      this.#events = events && (await hostLog(events, this.#runtime, this.#log, 'supervisor'))
      this.#coordination = coordination && (await hostCoordinator(coordination, this.#runtime, this.#log))
      this.#registry = this.#coordination && (await hostRegistry(this.#coordination, this.#runtime))
      this.#shards = new ShardsHost(this.#coordination, this.#runtime)
      this.#resources = new KindsHost(this.#coordination, this.#runtime)
      this.#replicas = await ReplicaHost.open(this.#spec, this.#events, this.#coordination, this.#runtime)
      const admin = await this.#admin.prepare(setting)
      admin.commit()
      await this.#crew.start(this.#spec.workers ?? 1)
      await this.#events?.relay(this.#spec)
      this.#registry?.register(this.#spec)
      await this.#shards.follow(this.#spec)
      const serve = await this.#resources.prepare(this.#spec)
      serve()
    } catch (error) {
      await this.#admin.close()
      await this.#resources?.close()
      await this.#shards?.close()
      await this.#registry?.close()
      await this.#replicas?.close()
      await this.#coordination?.close()
      await this.#events?.close()
      throw error
    }
    this.#phase = 'ready'
  }

  /**
   * Changes the configuration of every worker, one after the other: for a moment some serve the old one and some the
   * new one. If one of them cannot have it, those that have it go back. The number of workers changes with it.
   *
   * @throws {@link BanyanError} as `Node.apply`
   */
  apply(spec: NodeSpec, origin: Origin = { by: 'program' }, options: ApplyOptions = {}): Promise<Applied> {
    return this.#configuration.inTurn(() => this.#change(spec, origin, options))
  }

  /** What all workers do together. */
  async state(): Promise<NodeState> {
    const answers = await this.#crew.ask<NodeState>('state')
    const merged = mergeStates(answers.map(({ answer }) => answer))
    const workers = answers.map(({ pid, answer }) => ({ pid, connections: answer.connections }))
    const projections = this.#projections
    const [events, seen, captures, coordination, replicas] = await Promise.all([
      this.#events?.state(),
      this.#projectionWatch.look(projections),
      this.#captures?.list(),
      this.#coordination?.state(),
      this.#replicas?.control?.list(),
    ])
    const sagas = this.#events?.sagas(merged.sagas as Parameters<HostedLog['sagas']>[0])
    return {
      ...merged,
      node: { ...merged.node, pid: process.pid, phase: this.#phase },
      config: this.#configuration.state,
      ...(events && { events, subscriptions: this.#events!.subscriptions }),
      ...(this.#events?.outboxes && { outboxes: this.#events.outboxStates }),
      ...(projections && { projections: seen }),
      ...(captures && { captures }),
      ...(sagas && { sagas }),
      ...(coordination && { coordination }),
      ...(this.#registry?.registered && { registered: this.#registry.registered }),
      ...(this.#shards?.states && { shards: this.#shards.states }),
      ...(this.#resources?.state && { resources: this.#resources.state }),
      ...(replicas && { replicas }),
      workers,
      restarts: this.#crew.restarts,
    }
  }

  async stop(now?: AbortSignal): Promise<void> {
    if (this.#phase === 'draining' || this.#phase === 'stopped') return
    this.#phase = 'draining'
    // They would be told of the workers that end.
    this.#events?.endFollowers()
    this.#coordination?.endFollowers()
    await this.#registry?.drain(now)
    await this.#crew.stop(now)
    await this.#admin.close()
    await this.#resources?.close()
    await this.#shards?.close()
    await this.#registry?.close()
    await this.#replicas?.close()
    await this.#coordination?.close()
    await this.#events?.close()
    this.#phase = 'stopped'
  }

  async #change(
    spec: NodeSpec,
    origin: Origin,
    { ifGeneration, dryRun = false }: ApplyOptions,
  ): Promise<Applied> {
    this.#configuration.expect(this.#phase, ifGeneration)
    const before = this.#spec
    refuseRestructuring(before, spec)
    const changes = diffSpecs(before, spec)
    if (dryRun) {
      await this.#crew.askOne('apply', { spec, dryRun })
      return { generation: this.#configuration.state.generation, hash: hashOf(spec), changes }
    }
    const changeEvents = spec.events && (await this.#events?.prepare(spec.events))
    const admin = await this.#admin.prepare(spec.admin)
    let replicas: Awaited<ReturnType<ReplicaHost['prepare']>>
    let changeResources: (() => void) | undefined
    try {
      replicas = await this.#replicas?.prepare(spec)
      changeResources = await this.#resources?.prepare(spec)
      await this.#crew.askInTurn('apply', { spec, dryRun }, { spec: before, dryRun })
    } catch (error) {
      await replicas?.discard()
      await admin.discard()
      throw error
    }
    this.#spec = spec
    changeEvents?.()
    replicas?.commit()
    changeResources?.()
    await this.#events?.relay(spec)
    this.#registry?.register(spec)
    await this.#shards?.follow(spec)
    admin.commit()
    this.#counts.reset()
    await this.#crew.resize(spec.workers ?? 1, duration(spec.drain.grace, 'drain.grace'))
    return this.#configuration.applied(spec, origin, changes)
  }

  /** Breakers as an operator sees them: one name, in every worker. */
  async #breakers(): Promise<ReadonlyMap<string, BreakerControl>> {
    const lists = await this.#crew.askAll<[string, BreakerSnapshot][]>('breakers')
    const names = new Set(lists.flatMap((list) => list.map(([name]) => name)))
    const control = (name: string): BreakerControl => ({
      force: async (override) => {
        const lease = override.for === undefined ? Infinity : duration(override.for, 'for')
        this.#overrides.set(name, { override, until: this.#clock.now() + lease })
        await this.#crew.askAll('force', { name, override })
      },
      release: async () => {
        this.#overrides.delete(name)
        await this.#crew.askAll('release', { name })
      },
      snapshot: async () => {
        const now = await this.#crew.askAll<[string, BreakerSnapshot][]>('breakers')
        return mergeBreakers(
          now.flatMap((list) => list.filter(([each]) => each === name).map(([, each]) => each)),
        )
      },
    })
    return new Map(Array.from(names, (name) => [name, control(name)]))
  }

  /** Overrides that hold, each for what is left of its time. */
  #overridesNow(): { name: string; override: Override }[] {
    const now = this.#clock.now()
    for (const [name, { until }] of this.#overrides) if (until <= now) this.#overrides.delete(name)
    return Array.from(this.#overrides, ([name, { override, until }]) => ({
      name,
      override: until === Infinity ? override : { ...override, for: until - now },
    }))
  }

  async #metricsText(): Promise<string> {
    const lists = await this.#crew.askAll<object[]>('metrics')
    const own = (await this.#metrics.json()).filter(({ name }) => name.startsWith('banyan_'))
    return AggregatorRegistry.aggregate(mergeMetrics(own, lists)).metrics()
  }
}
