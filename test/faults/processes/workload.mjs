// @ts-check
/** What writers append. A commit is made of its id alone, so that whoever finds the id in a history can append it again. */
import { seededRandom } from 'banyan/core'
import { crc32 } from 'node:zlib'

/**
 * @typedef {import('banyan/events').Commit & { id: string }} Commit
 * @typedef {import('banyan/events').NewEvent} NewEvent
 * @typedef {import('banyan/events').Expected} Expected
 */

/** @type {Record<string, number>} How often each kind of commit is made, relative to the others. */
const KINDS = { single: 8, several: 5, hot: 6, named: 2, bytes: 1, big: 1 }
const BAG = Object.entries(KINDS).flatMap(([kind, count]) => Array.from({ length: count }, () => kind))

/**
 * The id of a new commit of a writer.
 *
 * @param {import('banyan/core').Random} random
 * @param {string} writer unique for each start of a process
 * @param {number} number
 */
export function newId(random, writer, number) {
  return `${BAG[Math.floor(random.next() * BAG.length)]}:${writer}:${number}`
}

/** The stream that a commit expects to be at a revision, if it does. */
export function hotStream(/** @type {string} */ id) {
  return id.startsWith('hot:') ? `hot-${crc32(id) % 4}` : undefined
}

/** Whether it is always appended in a transaction of the caller's, where there are any. */
export function isTransactional(/** @type {string} */ id) {
  return id.charCodeAt(id.length - 1) % 4 === 0
}

/**
 * The commit of an id.
 *
 * @param {string} id
 * @param {(stream: string) => Expected} [expected] default `any`
 * @returns {Commit}
 */
export function commitOf(id, expected = () => 'any') {
  const [kind = '', writer = ''] = id.split(':')
  const random = seededRandom(crc32(id))
  const below = (/** @type {number} */ limit) => Math.floor(random.next() * limit)
  const process = writer.split('.')[0]
  /** @type {string[]} */
  const names = []
  switch (kind) {
    case 'hot':
      names.push(/** @type {string} */ (hotStream(id)))
      if (below(3) === 0) names.push(`ledger-${below(3)}`)
      break
    case 'several':
      names.push(`account-${process}-${below(5)}`, `ledger-${below(3)}`)
      if (below(2) === 0) names.push(`journal of ${process}`)
      break
    case 'shared':
      names.push(`shared-${below(3)}`, `ledger-${below(3)}`)
      break
    default:
      names.push(`account-${process}-${below(5)}`)
  }
  const streams = names.map((stream, place) => ({
    stream,
    expected: expected(stream),
    events: Array.from({ length: 1 + below(3) }, (_, number) =>
      eventOf(kind, `${id}#${place}.${number}`, below),
    ),
  }))
  return { id, streams }
}

/**
 * @param {string} kind
 * @param {string} name
 * @param {(limit: number) => number} below
 * @returns {NewEvent}
 */
function eventOf(kind, name, below) {
  const size = kind === 'big' ? 5_000 + below(below(20) === 0 ? 400_000 : 30_000) : below(250)
  const filling = crc32(name)
    .toString(36)
    .repeat(Math.ceil(size / 6))
  return {
    ...(kind === 'named' && { id: name }),
    type: `Type${below(4)}`,
    data: kind === 'bytes' ? Buffer.from(filling) : { name, filling },
    tags: below(3) === 0 ? [`tag:${below(5)}`, 'all'] : [],
    ...(below(4) === 0 && { metadata: { correlationId: name, actor: 'häns' } }),
  }
}
