// @ts-check
/** Ours alone: messages that are tried again, and memory where almost every message has a key of its own. */
import { join } from 'node:path'
import { openLog, subscribe, topic } from '../../dist/events/index.js'
import { runTask, tasksOf } from '../apart.mjs'
import { median, spread, table } from '../measure.mjs'
import { CONCURRENCY, KEYS, message } from './contestant.mjs'

const ROUNDS = 3
/** Messages that fail, each with a key of its own, and how often they are tried. */
const FAILING = { messages: 10_000, attempts: 5 }
const BULK = 1000

const { apart } = tasksOf(new URL(import.meta.url))
const MB = (/** @type {number} */ value) => `${(value / 2 ** 20).toFixed(0)} MB`

/**
 * @param {string} directory
 * @param {number} keys as many messages
 * @returns {Promise<string>} tables in Markdown
 */
export async function lanes(directory, keys) {
  /** @type {string[][]} */
  const backlogs = []
  for (const [name, count] of /** @type {const} */ ([
    [`${KEYS} keys`, KEYS],
    ['a key each', keys],
  ])) {
    const where = `sqlite:${join(directory, `backlog-${count}`)}`
    // What publishes them is gone when they are handled: its memory does not count.
    await apart('fill', { where, messages: keys, keys: count })
    const { perSecond, highest } = await apart('drain', { where, messages: keys })
    backlogs.push([name, perSecond.toFixed(0), MB(highest)])
  }
  const failed = []
  for (let round = 0; round < ROUNDS; round++)
    failed.push(await apart('redeliver', { where: `sqlite:${join(directory, `failing-${round}`)}` }))
  return [
    `### Keys, sqlite: a backlog of ${keys} messages`,
    table(['', 'handled/s', 'memory of the subscriber (RSS), highest'], backlogs),
    `### Tries of messages that fail, sqlite`,
    table(
      ['', 'median (spread)'],
      [
        [
          `${FAILING.messages} messages, each with its key, tried ${FAILING.attempts} times with 10 ms between: tries/s`,
          spread(failed.map(({ perSecond }) => perSecond)),
        ],
        ['times as many tries as asked for', median(failed.map(({ more }) => more)).toFixed(3)],
      ],
    ),
  ].join('\n\n')
}

const tasks = {
  /** Publishes messages, keys in turn. */
  async fill(/** @type {{ where: string, messages: number, keys: number }} */ { where, messages, keys }) {
    const log = await openLog(where)
    for (let number = 0; number < messages; number += BULK) await publish(log, number, BULK, keys)
    await log.close()
  },

  /** Handles a backlog; gives the most memory that it took. */
  async drain(/** @type {{ where: string, messages: number }} */ { where, messages }) {
    const log = await openLog(where)
    const subscription = await subscribe(log, { name: 'mailer', topic: 'mail', from: 'start' })
    let highest = 0
    const begun = performance.now()
    await untilHandled(messages, (handled) => {
      subscription.handle(
        () => {
          if (handled() % BULK === 0) highest = Math.max(highest, process.memoryUsage.rss())
        },
        { concurrency: CONCURRENCY },
      )
    })
    const seconds = (performance.now() - begun) / 1000
    await subscription.close()
    await log.close()
    return { perSecond: messages / seconds, highest }
  },

  /** Every try but the last fails. */
  async redeliver(/** @type {{ where: string }} */ { where }) {
    const { messages, attempts } = FAILING
    const log = await openLog(where)
    for (let number = 0; number < messages; number += BULK) await publish(log, number, BULK, messages)
    const subscription = await subscribe(log, {
      name: 'mailer',
      topic: 'mail',
      from: 'start',
      attempts,
      backoff: { base: 10, factor: 1 },
    })
    let tries = 0
    const begun = performance.now()
    await untilHandled(messages, (handled) => {
      subscription.handle(
        (_, { attempt }) => {
          tries++
          if (attempt < attempts) throw new Error('not yet')
          handled()
        },
        { concurrency: CONCURRENCY },
      )
    })
    const seconds = (performance.now() - begun) / 1000
    await subscription.close()
    await log.close()
    return { perSecond: tries / seconds, more: tries / (messages * attempts) }
  },
}

/**
 * @param {import('../../dist/events/index.js').EventLog} log
 * @param {number} first
 * @param {number} count
 * @param {number} keys
 */
function publish(log, first, count, keys) {
  return topic(log, 'mail').publish(
    Array.from({ length: count }, (_, index) => {
      const key = `key-${(first + index) % keys}`
      return { type: 'Sent', key, data: { ...message(first + index, 0), key } }
    }),
  )
}

/**
 * @param {number} messages
 * @param {(handled: () => number) => void} work calls `handled` for each
 */
function untilHandled(messages, work) {
  return new Promise((resolve) => {
    let handled = 0
    work(() => {
      if (++handled === messages) resolve(undefined)
      return handled
    })
  })
}

await runTask(import.meta.filename, tasks)
