import type { Coordinator } from '../../../coordinator.js'
import { coordinationError, hasCode } from '../../../errors.js'
import { bucketOf } from '../../buckets.js'
import {
  changeDataShards,
  readDataShards,
  reowned,
  shardsUnknown,
  type Compared,
  type DataMove,
  type DataShardMap,
} from '../map.js'
import type { MovedRow, ShardStore } from '../store.js'
import { MoveMeter } from './meter.js'
import type { MoveSettings } from './options.js'
import { pageOf, Pace } from './pace.js'
import { settle } from './settle.js'
import type { Sides } from './sides.js'
import { calledOff, replaced, stepped, switched, withCompared, withProblem } from './transitions.js'
import { compareSome, Divergence } from './verify.js'

/** Changes that are applied at once. */
const BATCH = 500
/** How long the target may take over rows, in ms, while nobody can use the buckets. */
const ADOPT_MS = 30_000
/** How long one turn of a long step takes about, before it is looked whether it is still wanted, in ms. */
const TURN_MS = 250

/** Databases by the names of their shards. */
export type Stores = ReadonlyMap<string, ShardStore<unknown>>

/**
 * Makes moves, a turn at a time, for who holds the token. What it finds may have been left by another executor at any point, in the
 * middle of a turn also: every turn begins with what the databases say.
 */
export class MoveExecutor {
  readonly #coordinator: Coordinator
  readonly #name: string
  readonly #stores: Stores
  readonly #token: number
  readonly #settings: MoveSettings
  readonly #pace: Pace
  readonly #meter: MoveMeter
  readonly #signal: AbortSignal
  #buckets: number | undefined
  /** Rows of the last page of a table, which tell how many the next one may have. */
  #last: readonly MovedRow[] = []

  constructor(
    { coordinator, name, stores }: { coordinator: Coordinator; name: string; stores: Stores },
    token: number,
    settings: MoveSettings,
    signal: AbortSignal,
  ) {
    this.#coordinator = coordinator
    this.#name = name
    this.#stores = stores
    this.#token = token
    this.#settings = settings
    this.#signal = signal
    this.#meter = new MoveMeter(coordinator.runtime, name)
    this.#pace = new Pace(coordinator.runtime.clock, settings.rate, settings.hold, signal)
  }

  /**
   * The map, after whoever had a lower token cannot change it any more.
   *
   * @throws `BANYAN_STALE_TOKEN`, `BANYAN_SHARDS_UNKNOWN`
   */
  begin(): Promise<DataShardMap> {
    return this.#change((map) => (map.token === this.#token ? map : { ...map, token: this.#token }))
  }

  /**
   * Lets the map follow the databases in what is not on its way, if the coordinator has come back from an older backup.
   *
   * @returns whether it does; otherwise a database is away
   */
  async settle(): Promise<boolean> {
    const elsewhere = await settle(
      await this.map(),
      this.#stores,
      this.#token,
      this.#coordinator.runtime.clock,
    )
    if (elsewhere && elsewhere.size > 0)
      await this.#change((map) => {
        let { owners } = map
        for (const [shard, buckets] of elsewhere) owners = reowned(owners, buckets, shard)
        return { ...map, owners }
      })
    return elsewhere !== undefined
  }

  /** @throws `BANYAN_SHARDS_UNKNOWN` */
  async map(): Promise<DataShardMap> {
    const map = await readDataShards(this.#coordinator, this.#name)
    if (!map) throw shardsUnknown(this.#name)
    this.#meter.saw(map.moves)
    return map
  }

  /** Whether there is something to do for a move, other than to keep it up to date. */
  static isBusy({ step, paused, aborted }: DataMove): boolean {
    if (step === 'switched') return false
    // A switch is not left halfway: nobody could use the buckets.
    return step === 'diverged' ? aborted : step === 'switch' || !paused
  }

  /**
   * One turn of a move.
   *
   * @throws `BANYAN_STALE_TOKEN` if somebody else has taken over; what is in the way: then it may be tried again
   */
  async advance(move: DataMove): Promise<void> {
    const sides = this.#sides(move)
    try {
      await this.#turn(move, sides)
    } catch (error) {
      if (!hasCode(error, 'BANYAN_SHARD_MOVED')) throw error
      // The map does not know what was done: the coordinator has come back from an older backup.
      if (!(await this.#isAdopted(sides)))
        throw coordinationError(
          'BANYAN_SHARD_MOVED',
          `${error.message}. The map is older than that, as after a restore of the coordinator: abort the move, then the map follows the databases`,
          error,
        )
      await sides.source.moves.retire(sides.step)
      await this.#change((map) => switched(map, move))
    }
  }

  #turn(move: DataMove, sides: Sides): Promise<void> | undefined {
    switch (move.step) {
      case 'copy':
        return move.aborted ? this.#abort(move, sides) : this.#copy(move, sides)
      case 'catch-up':
        return move.aborted ? this.#abort(move, sides) : this.#catchUpTurn(move, sides)
      case 'verify':
        return move.aborted ? this.#abort(move, sides) : this.#verify(move, sides)
      case 'diverged':
        return move.aborted ? this.#abort(move, sides) : undefined
      case 'switch':
        return this.#switch(move, sides)
      case 'switched':
        return this.#keepUp(move)
      case 'drop':
        return this.#drop(move, sides)
    }
  }

  /** Says what is in the way of a move; undefined: nothing is any more. */
  async report(move: DataMove, problem: string | undefined): Promise<void> {
    if (move.problem === problem) return
    await this.#change((map) =>
      replaced(map, move.id, (now) =>
        now.step !== move.step || now.problem === problem || now.step === 'diverged'
          ? now
          : withProblem(now, problem),
      ),
    )
  }

  async #copy(move: DataMove, { source, target, step }: Sides): Promise<void> {
    const tables = await this.#sameTables(source, target)
    await source.moves.capture(step)
    if (move.estimate === 0) {
      let estimate = 0
      for (const table of tables) estimate += await source.moves.count(step, table, 'tables')
      if (estimate > 0) await this.#change((map) => replaced(map, move.id, (now) => ({ ...now, estimate })))
    }
    const { clock } = this.#coordinator.runtime
    const until = clock.now() + TURN_MS
    const { progress } = await target.moves.staged(step)
    const known = new Map(progress.map((each) => [`${each.table}/${each.bucket}`, each]))
    let rows = progress.reduce((sum, each) => sum + each.rows, 0)
    for (const table of tables)
      for (const bucket of step.buckets) {
        let { after, last } = known.get(`${table}/${bucket}`) ?? { after: undefined, last: false }
        while (!last) {
          this.#signal.throwIfAborted()
          const query = { table, bucket, after, limit: pageOf(this.#settings.page, this.#last) }
          const page = await source.moves.readPage(step, query)
          const stray = this.#strayOf(page.rows, bucket, await this.#bucketsOfAll())
          if (stray)
            return this.#diverged(
              move,
              `a row of ${JSON.stringify(table)} is in bucket ${bucket}, and its key is not of that: ${stray.key}`,
            )
          await target.moves.writePage(step, query, page)
          rows += page.rows.length
          this.#meter.copied(page.rows.length)
          if (page.rows.length > 0) this.#last = page.rows
          after = page.rows.at(-1)?.key ?? after
          last = page.last
          await this.#pace.copied(page.rows.length)
          if (clock.now() >= until) return this.#progressed(move, rows)
        }
      }
    await this.#change((map) =>
      stepped(
        replaced(map, move.id, (now) => ({ ...now, rows })),
        { ...move },
        'catch-up',
      ),
    )
  }

  async #catchUpTurn(move: DataMove, sides: Sides): Promise<void> {
    if (await this.#catchUp(sides, TURN_MS)) await this.#change((map) => stepped(map, move, 'verify'))
  }

  async #verify(move: DataMove, sides: Sides): Promise<void> {
    const tables = await this.#sameTables(sides.source, sides.target)
    // Before anything is compared: what is behind differs.
    if (!(await this.#catchUp(sides, TURN_MS))) return
    const { clock } = this.#coordinator.runtime
    const until = clock.now() + TURN_MS
    let compared: Compared | undefined
    try {
      compared = await compareSome(sides, tables, move.compared, {
        page: this.#settings.page,
        catchUp: () => this.#catchUp(sides, TURN_MS),
        pace: (rows) => this.#pace.copied(rows),
        isOver: () => clock.now() >= until,
        signal: this.#signal,
      })
    } catch (error) {
      if (error instanceof Divergence) return this.#diverged(move, error.message)
      throw error
    }
    await this.#change((map) =>
      compared
        ? replaced(map, move.id, (now) =>
            now.step === move.step && now.from === move.from ? withCompared(now, compared) : now,
          )
        : stepped(map, move, 'switch'),
    )
  }

  async #switch(move: DataMove, sides: Sides): Promise<void> {
    const { source, step } = sides
    if (!(await this.#isAdopted(sides))) {
      if (move.aborted) return this.#abort(move, sides)
      if (!(await this.#adopt(move, sides))) return
    }
    await source.moves.retire(step)
    await this.#change((map) => switched(map, move))
  }

  /** @returns whether the target has them */
  async #adopt(move: DataMove, sides: Sides): Promise<boolean> {
    const { source, target, step } = sides
    const { clock } = this.#coordinator.runtime
    const tables = await this.#sameTables(source, target)
    await this.#catchUp(sides, TURN_MS)
    const until = clock.now() + this.#settings.blockFor
    const epochs = await source.moves.block(step, this.#settings.blockFor)
    const blocked = clock.now()
    const giveUp = async (next: 'catch-up' | 'diverged', problem: string): Promise<false> => {
      await source.moves.unblock(step)
      this.#meter.blocked(blocked)
      if (next === 'diverged') await this.#diverged(move, problem)
      else await this.#change((map) => stepped(map, move, next, problem))
      return false
    }
    try {
      if (!(await this.#catchUp(sides, until - clock.now())))
        return await giveUp(
          'catch-up',
          'there was more to catch up with than can be while the buckets are blocked',
        )
      for (const table of tables) {
        const [there, staged] = [
          await source.moves.count(step, table, 'tables'),
          await target.moves.count(step, table, 'staged'),
        ]
        if (there !== staged)
          return await giveUp('diverged', `${staged} rows of ${JSON.stringify(table)} are staged of ${there}`)
      }
    } catch (error) {
      // Nothing was adopted: who writes need not wait until this is mended.
      if (!hasCode(error, 'BANYAN_STALE_TOKEN')) await source.moves.unblock(step).catch(() => undefined)
      throw error
    }
    const adopting = clock.now()
    try {
      await target.moves.adopt(step, epochs, ADOPT_MS)
    } catch (error) {
      if (hasCode(error, 'BANYAN_SHARD_UNFIT')) return giveUp('diverged', error.message)
      if (hasCode(error, 'BANYAN_SHARD_BUSY')) {
        if (clock.now() - adopting >= ADOPT_MS)
          return giveUp(
            'diverged',
            `${target.id} has not taken the rows over within ${ADOPT_MS} ms, for which nobody could use the buckets: abort it, and move fewer buckets at once`,
          )
        await source.moves.unblock(step)
      }
      // Of anything else it is not known whether they were adopted: they stay blocked until that is.
      throw error
    }
    this.#meter.blocked(blocked)
    return true
  }

  /** Waits for an adoption of which nobody has heard how it ended, and lets none come after by who was here before. */
  async #isAdopted({ target, step }: Sides): Promise<boolean> {
    await target.moves.applyChanges(step, [])
    return (await target.moves.staged(step)).adopted
  }

  /** Brings back what was before: nothing if the target has adopted the buckets. */
  async #abort(move: DataMove, sides: Sides): Promise<void> {
    const { source, target, step } = sides
    if (await this.#isAdopted(sides)) {
      await source.moves.retire(step)
      await this.#change((map) => switched(map, move))
      return
    }
    if (!move.reversed) await target.moves.discard(step)
    await source.moves.unblock(step)
    if (!move.reversed) await source.moves.release(step)
    await this.#change((map) => calledOff(map, move))
  }

  /** What has changed since the switch goes to where the buckets were. */
  async #keepUp(move: DataMove): Promise<void> {
    const { source, target, step } = this.#sides({ ...move, from: move.to, to: move.from })
    await this.#catchUp({ source, target, step }, TURN_MS)
  }

  async #drop(move: DataMove, { source, target, step }: Sides): Promise<void> {
    await target.moves.release(step)
    await source.moves.discard(step)
    await this.#change((map) => replaced(map, move.id, () => undefined))
  }

  /**
   * Applies what was noted.
   *
   * @param ms - how long, about
   * @returns whether nothing was left
   */
  async #catchUp({ source, target, step }: Sides, ms: number): Promise<boolean> {
    const { clock } = this.#coordinator.runtime
    const until = clock.now() + ms
    for (;;) {
      this.#signal.throwIfAborted()
      const { changes, marks } = await source.moves.readChanges(step, BATCH)
      if (marks.length > 0) {
        await target.moves.applyChanges(step, changes)
        await source.moves.forgetChanges(step, marks)
      }
      if (marks.length < BATCH) return true
      if (clock.now() >= until) return false
    }
  }

  /** @throws `BANYAN_SHARD_UNFIT` if they differ */
  async #sameTables(source: ShardStore<unknown>, target: ShardStore<unknown>): Promise<string[]> {
    const [ours, theirs] = [await source.shapes(), await target.shapes()]
    const words = (shape: (typeof ours)[string] | undefined): string[] =>
      shape
        ? [
            ...shape.columns.map(({ name, type }) => `${name} ${type}`),
            `primary key (${shape.primaryKey.join(', ')})`,
          ]
        : []
    for (const table of new Set([...Object.keys(ours), ...Object.keys(theirs)])) {
      const [here, there] = [words(ours[table]), words(theirs[table])]
      const only = (some: string[], others: string[], shard: string): string[] =>
        some.filter((word) => !others.includes(word)).map((word) => `${word} only in ${shard}`)
      const differences = [...only(here, there, source.id), ...only(there, here, target.id)]
      if (differences.length > 0)
        throw coordinationError(
          'BANYAN_SHARD_UNFIT',
          `the table ${JSON.stringify(table)} is not the same in both databases: ${differences.join('; ')}`,
        )
    }
    return Object.keys(ours)
  }

  #sides({ id, buckets, from, to }: DataMove): Sides {
    return { source: this.#store(from), target: this.#store(to), step: { id, buckets, token: this.#token } }
  }

  #store(shard: string): ShardStore<unknown> {
    const store = this.#stores.get(shard)
    if (store) return store
    throw coordinationError(
      'BANYAN_SHARD_UNKNOWN',
      `the shard ${JSON.stringify(shard)} is not among the databases that were opened here`,
    )
  }

  async #bucketsOfAll(): Promise<number> {
    return (this.#buckets ??= (await this.map()).buckets)
  }

  #strayOf(rows: readonly MovedRow[], bucket: number, buckets: number): MovedRow | undefined {
    return rows.find((row) => row.shardKey === null || bucketOf(row.shardKey, buckets) !== bucket)
  }

  async #progressed(move: DataMove, rows: number): Promise<void> {
    await this.#change((map) => replaced(map, move.id, (now) => (now.rows === rows ? now : { ...now, rows })))
  }

  async #diverged(move: DataMove, problem: string): Promise<void> {
    await this.#change((map) => stepped(map, move, 'diverged', problem))
  }

  #change(step: (map: DataShardMap) => DataShardMap): Promise<DataShardMap> {
    return changeDataShards(this.#coordinator, this.#name, (map) => {
      if (map.token > this.#token)
        throw coordinationError(
          'BANYAN_STALE_TOKEN',
          `the map of ${JSON.stringify(this.#name)} was changed with token ${map.token}, so ${this.#token} is refused: somebody else makes the moves`,
        )
      return step(map)
    })
  }
}
