// @ts-check
import { setInterval } from 'node:timers/promises'
import { finishMove, readDataShards } from 'banyan/coordination'

/** How long buckets that have moved can be taken back, before they are removed where they were, in ms. */
const KEPT = Number(process.env['MOVE_KEPT'] ?? 10_000)
/** How often it is looked how far moves are, in ms. */
const LOOK = 200

/** @typedef {import('banyan/coordination').DataMove} Move */

/**
 * Tells what moves in the terminal, and finishes what nobody has taken back.
 *
 * @param {import('banyan/coordination').Coordinator} coordinator
 * @param {string} name
 */
export async function watchMoves(coordinator, name) {
  /**
   * Those under way, and those that were at the same time and are over.
   *
   * @type {Map<string, Watched>}
   */
  const watched = new Map()
  let map = await read()

  async function read() {
    const found = await readDataShards(coordinator, name)
    if (!found) throw new Error(`there are no data shards ${name}`)
    return found
  }
  async function look() {
    const now = await read()
    if (now.version < map.version) return
    const wasMoving = map.moves.length > 0
    map = now
    if (!wasMoving && now.moves.length > 0) watched.clear()
    for (const move of now.moves) {
      const known = watched.get(move.id)
      // One that was taken back goes the other way.
      const since = known?.move.to === move.to ? known.switchedAt : undefined
      const switchedAt = move.step === 'switched' ? (since ?? performance.now()) : undefined
      watched.set(move.id, { move, isOver: false, switchedAt })
      if (switchedAt !== undefined && since === undefined)
        tell(`${wordsOf(move)}: copied, compared, switched`)
    }
    for (const each of watched.values()) each.isOver = !now.moves.includes(each.move)
    if (wasMoving && now.moves.length === 0)
      tell(`what has moved is removed where it was: ${filesOf(now).join(', ')}`)
    for (const { id } of now.moves)
      if (performance.now() - (watched.get(id)?.switchedAt ?? Infinity) > KEPT) await finish(id)
  }
  async function finish(/** @type {string} */ id) {
    try {
      await finishMove(coordinator, name, id)
    } catch (error) {
      const { code } = /** @type {{ code?: string }} */ (error)
      // Somebody has finished it, or has just taken it back.
      if (code !== 'BANYAN_MOVE_STEP' && code !== 'BANYAN_MOVE_UNKNOWN') throw error
    }
  }
  function tell(/** @type {string} */ what) {
    console.log(`  orders: ${what}`)
  }

  await look()
  const closing = new AbortController()
  const { signal } = closing
  const watching = (async () => {
    for await (const _ of setInterval(LOOK, undefined, { signal }))
      await look().catch((error) => signal.aborted || console.error('history:', error))
  })().catch(() => undefined)
  return {
    tell,
    look,
    get map() {
      return map
    },
    get isMoving() {
      return map.moves.length > 0
    },
    /** Each move, and the step that it is at; `done` in the end. */
    get all() {
      return Array.from(
        watched.values(),
        ({ move: { id, buckets, from, to, rows, problem, step }, isOver }) => {
          return { id, buckets: rangesOf(buckets), from, to, rows, problem, step: isOver ? 'done' : step }
        },
      )
    },
    async close() {
      closing.abort()
      await watching
    },
  }
}

/** @param {Move} move */
function wordsOf({ buckets, from, to, rows }) {
  return `buckets ${rangesOf(buckets)} (${rows} orders) ${from} -> ${to}`
}

/**
 * @param {readonly number[]} buckets in order
 * @returns {string} such as 3-5, 9
 */
function rangesOf(buckets) {
  /** @type {[number, number][]} */
  const ranges = []
  for (const bucket of buckets) {
    const last = ranges.at(-1)
    if (last && last[1] === bucket - 1) last[1] = bucket
    else ranges.push([bucket, bucket])
  }
  return ranges.map(([from, to]) => (from === to ? from : `${from}-${to}`)).join(', ')
}

/** @param {import('banyan/coordination').DataShardMap} map */
function filesOf({ owners }) {
  /** @type {Record<string, number>} */
  const files = {}
  for (const [from, to, file] of owners) files[file] = (files[file] ?? 0) + to - from
  return Object.entries(files)
    .sort()
    .map(([file, buckets]) => `${file} has ${buckets}`)
}

/** @typedef {{ move: Move, isOver: boolean, switchedAt: number | undefined }} Watched */
