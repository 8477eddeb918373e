import { backoffWait, type Growth } from '../../core/backoff.js'
import { sleep } from '../../core/clock.js'
import { BanyanError } from '../../core/errors.js'
import type { Runtime } from '../../core/runtime.js'
import type { Coordinator } from '../../coordination/coordinator.js'
import { coordinationError } from '../../coordination/errors.js'
import {
  dataShardsKey,
  decodeDataShards,
  type DataMove,
  type DataShardMap,
} from '../../coordination/sharding/data/map.js'
import { runMoves } from '../../coordination/sharding/data/moves/run.js'
import type { ShardStore } from '../../coordination/sharding/data/store.js'
import { openView, type View } from '../../coordination/view/view.js'
import { openShardStore } from '../../drivers/open-shards.js'
import type { ShardsSpec } from '../spec.js'
import type { HostedShardsState } from './state.js'

/** Waits between tries to open the databases. */
const RETRY: Growth = { base: 200, factor: 2, max: 10_000 }

/**
 * Makes the moves of one application as soon as it has a map and its databases can be opened; what is in the way is told, and tried
 * again without end. Prepares nothing. Of several nodes one makes the moves, and the others wait to take over.
 *
 * | gauge | unit | meaning |
 * |---|---|---|
 * | `banyan.shards.mover.ready` | 1 | whether the databases are open here, so that moves are made |
 * | `banyan.shards.mover.moves` | `{move}` | moves on their way, whoever makes them |
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
    return {
      ready: this.#isReady,
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
    if (!map)
      throw coordinationError(
        'BANYAN_SHARDS_UNKNOWN',
        `it was not prepared yet: \`banyan shards prepare ${this.#name}\` does that, or the first application that opens it`,
      )
    const shards = this.#shards()
    const stores = await this.#open(map)
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
      await Promise.allSettled(stores.map((store) => store.close()))
    }
  }

  async #open({ shards, buckets }: DataShardMap): Promise<ShardStore<unknown>[]> {
    const { databases, tables, reference = [], buckets: wanted = buckets } = this.spec
    if (wanted !== buckets)
      throw coordinationError(
        'BANYAN_NAME_CLASH',
        `it has ${buckets} buckets, for ever, and the configuration says ${wanted}`,
      )
    const absent = Object.keys(shards).filter((shard) => !Object.hasOwn(databases, shard))
    if (absent.length > 0)
      throw coordinationError(
        'BANYAN_SHARD_UNKNOWN',
        `it has databases that the configuration does not name: ${absent.join(', ')}`,
      )
    const stores: ShardStore<unknown>[] = []
    try {
      for (const id of Object.keys(shards)) {
        this.#closing.signal.throwIfAborted()
        const spec = { name: this.#name, id, buckets, tables, reference }
        const opening = openShardStore(databases[id]!, spec, { runtime: this.#runtime, migrate: false })
        stores.push(await opening.catch((error: unknown) => refused(id, error)))
      }
      return stores
    } catch (error) {
      await Promise.allSettled(stores.map((store) => store.close()))
      throw error
    }
  }

  /** None of a map that cannot be read, which is told as the problem. */
  #moves(): readonly DataMove[] {
    try {
      return this.#map()?.moves ?? []
    } catch {
      return []
    }
  }

  /** Which databases the map has; a map that cannot be read has others. */
  #shards(): string {
    try {
      return JSON.stringify(Object.keys(this.#map()?.shards ?? {}).sort())
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
      telemetry.gauge(
        'banyan.shards.mover.moves',
        { description: 'Moves on their way.', unit: '{move}', attributes },
        () => this.state().moves,
      ),
      telemetry.gauge(
        'banyan.shards.mover.stuck',
        { description: 'Moves that something is in the way of.', unit: '{move}', attributes },
        () => this.state().stuck,
      ),
    ]
  }
}

/** The same error, which says of which database it is. */
function refused(shard: string, error: unknown): never {
  if (!(error instanceof BanyanError)) throw error
  throw new BanyanError(error.code as `BANYAN_${string}`, `the database ${shard}: ${error.message}`, {
    cause: error,
  })
}
