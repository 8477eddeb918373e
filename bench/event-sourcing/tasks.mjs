// @ts-check
import { runTask } from '../apart.mjs'
import { keepInFlight } from '../events/load.mjs'
import { openBanyan } from './banyan.mjs'
import { command, ordered } from './account.mjs'
import { openEmmettPostgres, openEmmettSqlite } from './emmett.mjs'

const open = {
  banyan: openBanyan,
  emmettPostgres: openEmmettPostgres,
  emmettSqlite: openEmmettSqlite,
}

/** Streams that are filled at once. */
const FILLING = 64

const tasks = {
  /**
   * Handles commands for streams of so many events, which it makes before. A stream has one command at a time.
   *
   * @param {object} options
   * @param {keyof typeof open} options.contestant
   * @param {string} options.where
   * @param {string} options.category of no streams yet
   * @param {number} options.events in each stream at the beginning
   * @param {number} options.streams
   * @param {number} options.concurrency
   * @param {number} options.ms
   * @param {number} [options.every] events after which a snapshot is made; each stream has one at the beginning
   */
  async handle({ contestant, where, category, events, streams, concurrency, ms, every }) {
    const store = await open[contestant](where, category, every)
    const filled = Array.from({ length: events }, (_, number) => ordered(number))
    await forAll(streams, (stream) => store.fill(stream, filled))
    if (every) await forAll(streams, store.load)

    const free = Uint32Array.from({ length: streams }, (_, stream) => stream)
    let taken = 0
    let freed = 0
    let seen = 0
    const load = await keepInFlight(concurrency, ms, async (number) => {
      const stream = /** @type {number} */ (free[taken++ % streams])
      const state = await store.handle(stream, command(number))
      seen += state.events - 1
      free[freed++ % streams] = stream
    })
    await store.close()
    return { ...load, events: seen / freed }
  },
}

/**
 * @param {number} streams
 * @param {(stream: number) => Promise<unknown>} call
 */
async function forAll(streams, call) {
  let next = 0
  const worker = async () => {
    while (next < streams) await call(next++)
  }
  await Promise.all(Array.from({ length: FILLING }, worker))
}

await runTask(import.meta.filename, tasks)
