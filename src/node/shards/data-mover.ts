import { backoffWait, type Growth } from '../../core/backoff.js'
import { sleep } from '../../core/clock.js'
import type { Runtime } from '../../core/runtime.js'
import type { Coordinator } from '../../coordination/coordinator.js'
import { coordinationError } from '../../coordination/errors.js'
import {
  dataShardsKey,
  decodeDataShards,
  type DataMove,
  type DataShardMap,
  type MoveStepName,
} from '../../coordination/sharding/data/map.js'
import { runMoves } from '../../coordination/sharding/data/moves/run.js'
import { openFounded, mustFit } from '../../coordination/sharding/data/router/join.js'
import { awayOf } from '../../coordination/sharding/data/router/late-store.js'
import type { ShardStore } from '../../coordination/sharding/data/store.js'
import { openView, type View } from '../../coordination/view/view.js'
import { inspectShard, openShardStore } from '../../drivers/open-shards.js'
import type { ShardsSpec } from '../spec.js'
import type { HostedShardsState } from './state.js'

/** Waits between tries to open the databases. */
const RETRY: Growth = { base: 200, factor: 2, max: 10_000 }

const STEPS: readonly MoveStepName[] = [
  ...(['copy', 'catch-up', 'verify', 'diverged', 'switch', 'switched', 'drop'] as const),
]

/**
 * Makes the moves of one application as soon as it has a map and one of its databases can be opened; what is in the way is told, and
 * tried again without end, and so are databases that are away: the moves of the others are made meanwhile. Prepares nothing. Of several nodes one makes the moves, and the others wait to take over.
 *
 * | gauge | unit | meaning |
 * |---|---|---|
 * | `banyan.shards.mover.ready` | 1 | whether one database at least is open here, so that moves are made |
 * | `banyan.shards.mover.moves` | `{move}` | moves on their way, whoever makes them, by `banyan.step` |
 * | `banyan.shards.mover.oldest` | s | how long ago the oldest of those was asked for that are not switched, nor paused; 0 if there is none |
 * | `banyan.shards.mover.stuck` | `{move}` | those that something is in the way of, or whose copy has diverged |
 */
export class DataMover {
  readonly spec: ShardsSpec
  readonly #name: string
  readonly #coordinator: Coordinator
  readonly #runtime: Runtime
  readonly #view: View
  readonly #closing = new AbortController()
  readonly #hides: (() => void)[]
  readonly #running: Promise<void>
  #isReady = false
  #stores: readonly ShardStore<unknown>[] = []
  #problem: string | undefined

  constructor(name: string, spec: ShardsSpec, coordinator: Coordinator, runtime: Runtime) {
    this.spec = spec
    this.#name = name
    this.#coordinator = coordinator
    this.#runtime = runtime
    this.#view = openView(coordinator, dataShardsKey(name))
    this.#hides = this.#show()
    this.#running = this.#run()
  }

  state(): Omit<HostedShardsState, 'databases'> {
    const moves = this.#moves()
    const away = awayOf(this.#stores)
    return {
      ready: this.#isReady,
      ...(Object.keys(away).length > 0 && { away }),
      moves: moves.length,
      stuck: moves.filter(({ problem }) => problem !== undefined).length,
      ...(this.#problem !== undefined && { problem: this.#problem }),
    }
  }

  async close(): Promise<void> {
    this.#closing.abort()
    for (const hide of this.#hides) hide()
    // Whoever waits for its first look waits no more.
    await this.#view.close()
    await this.#running
  }

  async #run(): Promise<void> {
    const { clock, random, telemetry } = this.#runtime
    const { signal } = this.#closing
    for (let failures = 1; !signal.aborted; failures++) {
      const changed = new AbortController()
      // Also while the databases are being opened: the map may be what was in the way.
      const unwatch = this.#view.on('change', () => changed.abort())
      try {
        await this.#move()
        failures = 0
      } catch (error) {
        if (this.#closing.signal.aborted) break
        const problem = error instanceof Error ? error.message : String(error)
        if (problem !== this.#problem)
          telemetry.log('warn', `moves of ${this.#name} are not made here, which is tried again: ${problem}`)
        this.#problem = problem
      }
      this.#isReady = false
      if (failures > 0) {
        const until = AbortSignal.any([signal, changed.signal])
        await sleep(clock, backoffWait(RETRY, failures, 'equal', random), until).catch(() => undefined)
      }
      unwatch()
    }
  }

  /** Makes moves until it is closed, the map has other databases, or something is in the way. */
  async #move(): Promise<void> {
    await this.#view.ready
    const map = this.#map()
    if (!map?.founded)
      throw coordinationError(
        'BANYAN_SHARDS_UNKNOWN',
        `it was not prepared yet: \`banyan shards prepare ${this.#name}\` does that, or the first application that opens it`,
      )
    const shards = this.#shards()
    const stores = await this.#open(map)
    this.#stores = stores
    try {
      const others = new AbortController()
      // Also what has changed while they were opened.
      if (this.#shards() !== shards) others.abort()
      const unwatch = this.#view.on('change', () => {
        if (this.#shards() !== shards) others.abort()
      })
      const runner = runMoves(
        this.#coordinator,
        { name: this.#name, stores: new Map(stores.map((store) => [store.id, store])) },
        this.spec.moves,
      )
      const end = (): void => void runner.close()
      const until = AbortSignal.any([others.signal, this.#closing.signal])
      until.addEventListener('abort', end, { once: true })
      if (until.aborted) end()
      this.#problem = undefined
      this.#isReady = true
      try {
        await runner.done
      } finally {
        unwatch()
        await runner.close()
      }
    } finally {
      this.#stores = []
      await Promise.allSettled(stores.map((store) => store.close()))
    }
  }

  async #open(map: DataShardMap): Promise<ShardStore<unknown>[]> {
    const { databases, tables, reference = [], buckets } = this.spec
    mustFit(map, { name: this.#name, databases }, buckets)
    const known = Object.entries(databases).filter(([id]) => Object.hasOwn(map.shards, id))
    const runtime = this.#runtime
    return openFounded<string, unknown>(
      { name: this.#name, databases: Object.fromEntries(known), tables, reference },
      { runtime, map: () => this.#map() ?? map, prepare: 'never' },
      {
        inspect: (where, spec) => inspectShard(where, spec, runtime),
        open: (where, spec) => openShardStore(where, spec, { runtime, migrate: false }),
      },
    )
  }

  /** None of a map that cannot be read, which is told as the problem. */
  #moves(): readonly DataMove[] {
    try {
      return this.#map()?.moves ?? []
    } catch {
      return []
    }
  }

  #oldest(): number {
    const now = this.#runtime.clock.wall()
    const ages = this.#moves()
      .filter(({ step, paused }) => step !== 'switched' && !paused)
      .map(({ since }) => (now - since) / 1000)
    return Math.max(0, ...ages)
  }

  /** Which map it is, and which databases it has; one that cannot be read has others. */
  #shards(): string {
    try {
      const { owner, shards = {} } = this.#map() ?? {}
      return JSON.stringify([owner, ...Object.keys(shards).sort()])
    } catch {
      return ''
    }
  }

  /** @throws `BANYAN_COORDINATOR_CORRUPT` */
  #map(): DataShardMap | undefined {
    const entry = this.#view.get(dataShardsKey(this.#name))
    return entry && decodeDataShards(entry)
  }

  #show(): (() => void)[] {
    const { telemetry } = this.#runtime
    const attributes = { 'banyan.shards': this.#name }
    return [
      telemetry.gauge(
        'banyan.shards.mover.ready',
        { description: 'Whether databases are open, so that moves are made.', unit: '1', attributes },
        () => (this.#isReady ? 1 : 0),
      ),
      ...STEPS.map((step) =>
        telemetry.gauge(
          'banyan.shards.mover.moves',
          {
            description: 'Moves on their way.',
            unit: '{move}',
            attributes: { ...attributes, 'banyan.step': step },
          },
          () => this.#moves().filter((move) => move.step === step).length,
        ),
      ),
      telemetry.gauge(
        'banyan.shards.mover.oldest',
        { description: 'Age of the oldest move that is under way.', unit: 's', attributes },
        () => this.#oldest(),
      ),
      telemetry.gauge(
        'banyan.shards.mover.stuck',
        { description: 'Moves that something is in the way of.', unit: '{move}', attributes },
        () => this.state().stuck,
      ),
    ]
  }
}
