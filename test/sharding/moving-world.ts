import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { bucketOf } from '../../src/coordination/sharding/buckets.js'
import type { Coordinator } from '../../src/coordination/coordinator.js'
import { dataShardsKey, readDataShards, type DataMove } from '../../src/coordination/sharding/data/map.js'
import { MoveExecutor } from '../../src/coordination/sharding/data/moves/executor.js'
import { moveSettings } from '../../src/coordination/sharding/data/moves/options.js'
import type { ShardMoves, ShardStore } from '../../src/coordination/sharding/data/store.js'
import { openCoordinator } from '../../src/coordination/index.js'
import type { Clock } from '../../src/core/clock.js'
import { BanyanError } from '../../src/core/errors.js'
import type { Random } from '../../src/core/random.js'
import { systemRuntime } from '../../src/core/runtime.js'
import { noTelemetry, type Telemetry } from '../../src/core/telemetry.js'
import type { SqliteTables } from '../../src/drivers/sqlite/read-models/tables.js'
import { openShard } from './engines.js'

export const BUCKETS = 4
const NAME = 'conformance'
/** Nothing is lost with the power here, so nothing has to reach a disk. */
const MEMORY = '/dev/shm'

const SCHEMA = `
  CREATE TABLE items (id TEXT NOT NULL PRIMARY KEY, owner TEXT, amount INTEGER NOT NULL);
  CREATE TABLE parts (item TEXT NOT NULL REFERENCES items ON DELETE CASCADE, number INTEGER NOT NULL, owner TEXT NOT NULL,
    note TEXT, PRIMARY KEY (item, number));
`

/** An executor that is no more. */
export class Crash extends Error {}

/** Makes a call that has an effect, or not. */
type Call = (work: () => Promise<unknown>) => Promise<unknown>

/** Where an executor ends, and how. */
export interface CrashPoint {
  /** Which of its calls, from 1. */
  readonly at: number
  /** Before it has an effect, after it, or such that the effect comes long after, when others are at work. */
  readonly mode: 'before' | 'after' | 'late'
}

/** Two SQLite files of a sharded application, who writes to them, and what must be in them. */
export class MovingWorld {
  readonly stores: readonly ShardStore<SqliteTables>[]
  readonly coordinator: Coordinator
  readonly #random: Random
  readonly #directory: string
  readonly #items = new Map<string, { owner: string; amount: number }>()
  readonly #parts = new Map<string, string>()
  readonly #owners: readonly string[]
  readonly #epochs = new Map<number, { shard: string; epoch: number }>()
  #tokens = 0
  #ids = 0
  #late: (() => Promise<unknown>) | undefined
  /** How a wrapped step differs: for wrong mechanisms. */
  wrong: (moves: ShardMoves, shard: string) => ShardMoves = (moves) => moves

  private constructor(
    directory: string,
    stores: readonly ShardStore<SqliteTables>[],
    coordinator: Coordinator,
    random: Random,
  ) {
    this.#directory = directory
    this.stores = stores
    this.coordinator = coordinator
    this.#random = random
    this.#owners = Array.from({ length: 12 }, (_, index) => `owner-${index}`)
  }

  static async open(random: Random, telemetry: Telemetry = noTelemetry): Promise<MovingWorld> {
    const directory = await mkdtemp(join(existsSync(MEMORY) ? MEMORY : tmpdir(), 'banyan-moving-'))
    const stores: ShardStore<SqliteTables>[] = []
    for (const id of ['a', 'b']) {
      const file = join(directory, `${id}.db`)
      const database = new Sqlite(file)
      database.pragma('journal_mode = WAL')
      database.exec(SCHEMA)
      database.close()
      const store = (await openShard(`sqlite:${file}`, { id, buckets: BUCKETS })) as ShardStore<SqliteTables>
      await store.prepare()
      stores.push(store)
    }
    const coordinator = await openCoordinator('memory:', { runtime: { ...systemRuntime, telemetry } })
    await stores[0]!.found('one', [[0, BUCKETS]])
    await stores[1]!.found('one', [])
    await coordinator.put(
      dataShardsKey(NAME),
      JSON.stringify({
        buckets: BUCKETS,
        owner: 'one',
        founded: true,
        version: 1,
        token: 0,
        shards: { a: { weight: 1 }, b: { weight: 1 } },
        owners: [[0, BUCKETS, 'a']],
        moves: [],
      }),
    )
    const world = new MovingWorld(directory, stores, coordinator, random)
    for (let count = 0; count < 20; count++) await world.writeSome()
    return world
  }

  async close(): Promise<void> {
    for (const store of this.stores) await store.close()
    await this.coordinator.close()
    await rm(this.#directory, { recursive: true, force: true })
  }

  async moves(): Promise<readonly DataMove[]> {
    return (await readDataShards(this.coordinator, NAME))!.moves
  }

  /**
   * An executor works until nothing is left to do, while others write; or until it crashes.
   */
  async execute(crash?: CrashPoint): Promise<void> {
    let calls = 0
    let isOver = false
    const counted: Call = async (work) => {
      if (isOver) throw new Crash()
      const call = ++calls
      await this.writeSome()
      if (call !== crash?.at) {
        if (!crash && this.#late && this.#random.next() < 0.2) await this.lateCall()
        return work()
      }
      isOver = true
      if (crash.mode === 'after') await work()
      if (crash.mode === 'late') this.#late = work
      throw new Crash()
    }
    const executor = this.executor(counted)
    await executor.begin()
    for (let turns = 0; turns < 2000; turns++) {
      const { moves } = await executor.map()
      const next = moves.find((move) => MoveExecutor.isBusy(move))
      if (!next) {
        for (const move of moves) if (move.step === 'switched') await executor.advance(move)
        return
      }
      await executor.advance(next)
    }
    throw new Error('the moves do not come to an end')
  }

  /**
   * The next executor, for which time goes fast: it ends its turns at any point.
   *
   * @param call - calls what has effects
   */
  executor(call: Call = (work) => work()): MoveExecutor {
    const { runtime } = this.coordinator
    let now = 0
    const clock: Clock = Object.assign(Object.create(runtime.clock) as Clock, {
      now: () => (now += this.#random.next() * 150),
    })
    const coordinator = Object.assign(
      Object.create(wrapped(this.coordinator, ['put'], call)) as Coordinator,
      {
        runtime: { ...runtime, clock },
      },
    )
    const stores = this.stores.map((store): [string, ShardStore<unknown>] => [
      store.id,
      Object.assign(Object.create(store) as ShardStore<unknown>, {
        shapes: () => store.shapes(),
        moves: wrapped(this.wrong(store.moves, store.id), STEPS, call),
      }),
    ])
    return new MoveExecutor(
      { coordinator, name: NAME, stores: new Map(stores) },
      ++this.#tokens,
      moveSettings({ page: 3 }),
      new AbortController().signal,
    )
  }

  /** What a crashed executor has still under way comes to its database now. */
  async lateCall(): Promise<void> {
    const late = this.#late
    this.#late = undefined
    await late?.().catch((error: unknown) => {
      if (!(error instanceof BanyanError)) throw error
    })
  }

  /** Writes at random, as a router would: where the bucket is; what is refused is not done. */
  async writeSome(): Promise<void> {
    const random = this.#random
    const owner = this.#owners[Math.floor(random.next() * this.#owners.length)]!
    const bucket = bucketOf(owner, BUCKETS)
    let done = 0
    for (const store of this.stores) {
      const change = this.#change(owner)
      try {
        await store.within(bucket, 'write', (db) => change.run(db), { key: owner })
      } catch (error) {
        if (error instanceof BanyanError && /^BANYAN_SHARD_(MOVED|BUSY)$/.test(error.code)) continue
        throw error
      }
      change.commit()
      done++
    }
    if (done > 1) throw new Error(`bucket ${bucket} was written to in two databases`)
  }

  /**
   * Checks that every row is there once, where its bucket is owned, and that every bucket is owned once, at an epoch that has risen if
   * its owner is another.
   */
  async check(): Promise<string[]> {
    const problems: string[] = []
    const items: string[] = []
    const parts: string[] = []
    const owned = new Map<number, { shard: string; epoch: number }>()
    for (const store of this.stores) {
      const { rows, owned: own } = await store.query(
        'SELECT id, owner, amount, banyan_bucket AS bucket FROM items',
        [],
      )
      for (const [from, to, epoch] of own.ranges)
        for (let bucket = from; bucket < to; bucket++) {
          if (owned.has(bucket)) problems.push(`bucket ${bucket} is owned twice`)
          owned.set(bucket, { shard: store.id, epoch })
        }
      if (own.blocked.length > 0) problems.push(`buckets ${own.blocked.join()} of ${store.id} are blocked`)
      const has = (bucket: unknown): boolean =>
        own.ranges.some(([from, to]) => Number(bucket) >= from && Number(bucket) < to)
      for (const row of rows) {
        items.push(`${String(row['id'])} ${String(row['owner'])} ${String(row['amount'])}`)
        if (!has(row['bucket']))
          problems.push(`${store.id} has a row of bucket ${String(row['bucket'])}, which it does not own`)
      }
      const { rows: others } = await store.query('SELECT item, number, note FROM parts', [])
      for (const row of others)
        parts.push(`${String(row['item'])}/${String(row['number'])} ${String(row['note'])}`)
    }
    const same = (found: string[], expected: string[], what: string): void => {
      const [left, right] = [found.sort().join('\n'), expected.sort().join('\n')]
      if (left !== right) problems.push(`${what} are\n${left}\ninstead of\n${right}`)
    }
    same(
      items,
      Array.from(this.#items, ([id, { owner, amount }]) => `${id} ${owner} ${amount}`),
      'items',
    )
    same(
      parts,
      Array.from(this.#parts, ([id, note]) => `${id} ${note}`),
      'parts',
    )
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const now = owned.get(bucket)
      if (!now) {
        problems.push(`bucket ${bucket} is owned by nobody`)
        continue
      }
      const before = this.#epochs.get(bucket) ?? { shard: 'a', epoch: 1 }
      if (now.epoch < before.epoch || (now.shard !== before.shard && now.epoch === before.epoch))
        problems.push(
          `bucket ${bucket} was at ${before.shard}, epoch ${before.epoch}, and is at ${now.shard}, epoch ${now.epoch}`,
        )
      this.#epochs.set(bucket, now)
    }
    const { owners } = (await readDataShards(this.coordinator, NAME))!
    for (const [from, to, shard] of owners)
      for (let bucket = from; bucket < to; bucket++)
        if (owned.get(bucket)?.shard !== shard)
          problems.push(`the map says that ${shard} has bucket ${bucket}`)
    return problems
  }

  /** How many rows are staged or noted somewhere. */
  async left(): Promise<number> {
    let count = 0
    for (const store of this.stores)
      for (const table of [
        'banyan_staged_items',
        'banyan_staged_parts',
        'banyan_shard_changes',
        'banyan_shard_copies',
      ])
        count += Number((await store.query(`SELECT count(*) AS count FROM ${table}`, [])).rows[0]!['count'])
    return count
  }

  /** A random change of what an owner has. */
  #change(owner: string): { run: (db: SqliteTables) => void; commit: () => void } {
    const own = [...this.#items].filter(([, item]) => item.owner === owner)
    const kind = own.length === 0 ? 0 : Math.floor(this.#random.next() * 6)
    const amount = Math.floor(this.#random.next() * 1000)
    const fresh = `i${++this.#ids}`
    const [id] = own[Math.floor(this.#random.next() * own.length)] ?? [fresh]
    const drop = (of: string): void => {
      this.#items.delete(of)
      for (const key of [...this.#parts.keys()]) if (key.startsWith(`${of}/`)) this.#parts.delete(key)
    }
    switch (kind) {
      case 0:
      case 1:
        return {
          run: (db) => {
            db.run('INSERT INTO items (id, owner, amount) VALUES (?, ?, ?)', fresh, owner, amount)
            db.run(
              'INSERT INTO parts (item, number, owner, note) VALUES (?, 1, ?, ?)',
              fresh,
              owner,
              `n${amount}`,
            )
          },
          commit: () => {
            this.#items.set(fresh, { owner, amount })
            this.#parts.set(`${fresh}/1`, `n${amount}`)
          },
        }
      case 2:
        return {
          run: (db) => void db.run('UPDATE items SET amount = ? WHERE id = ?', amount, id),
          commit: () => this.#items.set(id, { owner, amount }),
        }
      case 3:
        return {
          run: (db) => void db.run('DELETE FROM items WHERE id = ?', id),
          commit: () => drop(id),
        }
      case 4:
        return {
          run: (db) => {
            db.run('DELETE FROM parts WHERE item = ?', id)
            db.run('UPDATE items SET id = ?, amount = ? WHERE id = ?', fresh, amount, id)
          },
          commit: () => {
            drop(id)
            this.#items.set(fresh, { owner, amount })
          },
        }
      default:
        return {
          run: (db) =>
            void db.run(
              'INSERT OR REPLACE INTO parts (item, number, owner, note) VALUES (?, 1, ?, ?)',
              id,
              owner,
              `r${amount}`,
            ),
          commit: () => this.#parts.set(`${id}/1`, `r${amount}`),
        }
    }
  }
}

const STEPS = [
  'capture',
  'readPage',
  'readChanges',
  'forgetChanges',
  'block',
  'unblock',
  'retire',
  'release',
  'staged',
  'writePage',
  'applyChanges',
  'adopt',
  'discard',
  'conflict',
  'leftBehind',
  'digests',
  'count',
] as const satisfies readonly (keyof ShardMoves)[]

/** The same, with some of its methods called through another function. */
function wrapped<Target extends object>(
  target: Target,
  methods: readonly (keyof Target)[],
  call: (work: () => Promise<unknown>) => Promise<unknown>,
): Target {
  return new Proxy(target, {
    get: (of, name) => {
      const value: unknown = Reflect.get(of, name)
      if (typeof value !== 'function') return value
      const method = value as (...values: unknown[]) => Promise<unknown>
      if (!methods.includes(name as keyof Target)) return method.bind(of)
      return (...values: unknown[]) => call(() => method.apply(of, values))
    },
  })
}
