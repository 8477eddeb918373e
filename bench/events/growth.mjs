// @ts-check
/** Whether anything costs more in a large log than in a small one. */
import { statSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { median, spread, table } from '../measure.mjs'
import { apart } from './apart.mjs'

const SMALL = 10_000
const PER_STREAM = 10
const ROUNDS = 3
const READS = 5000
const LONG = 1_000_000

const ms = (/** @type {number} */ value) => value.toFixed(3)
const MB = (/** @type {number} */ value) => `${(value / 2 ** 20).toFixed(0)} MB`

/**
 * @param {string} directory
 * @param {number} events of the large log
 */
export async function growth(directory, events) {
  const small = `sqlite:${join(directory, 'small')}`
  const large = `sqlite:${join(directory, 'large')}`
  await apart('fill', { where: small, events: SMALL, perStream: PER_STREAM })
  const filled = await apart('fill', { where: large, events, perStream: PER_STREAM })
  const bytes = sizeOf(join(directory, 'large'))
  const followed = await apart('catchUp', { where: large, events })

  /** @type {Record<'small' | 'large', { reads: number[], appends: number[] }>} */
  const costs = { small: { reads: [], appends: [] }, large: { reads: [], appends: [] } }
  for (let round = 0; round < ROUNDS; round++)
    for (const [name, where, size] of /** @type {const} */ ([
      ['small', small, SMALL],
      ['large', large, events],
    ])) {
      const read = await apart('readStreams', { where, streams: size / PER_STREAM, reads: READS })
      costs[name].reads.push(read.p50)
      const append = await apart('appendBanyan', { where, concurrency: 256, ms: 3000 })
      costs[name].appends.push(1000 / append.perSecond)
    }
  const listed = await apart('listStreams', { where: large })
  const long = `long-0`
  await apart('fill', { where: small, events: LONG, perStream: LONG, prefix: 'long' })
  const stream = await apart('longStream', { where: small, stream: long, events: LONG })
  const brief = await apart('longStream', { where: small, stream: 'filled-0', events: PER_STREAM })

  const compare = (/** @type {'reads' | 'appends'} */ what) => [
    spread(costs.small[what], ms),
    spread(costs.large[what], ms),
    '<= 1.2',
    (median(costs.large[what]) / median(costs.small[what])).toFixed(2),
  ]
  const size = events < 1e6 ? `${events / 1000} k` : `${events / 1e6} M`
  return [
    `### Growth, sqlite: ${size} events in ${listed.count} streams, ${(bytes / 2 ** 30).toFixed(1)} GB, against 10 k events`,
    table(
      ['ms', '10 k events', `${size} events`, 'goal', 'ratio'],
      [
        [`read a stream of ${PER_STREAM} events, median`, ...compare('reads')],
        ['append, 256 in flight, all of the time / appends', ...compare('appends')],
      ],
    ),
    table(
      ['', 'measured'],
      [
        ['filled in commits of 5000, events/s', filled.perSecond.toFixed(0)],
        [`followed from the first to the last, events/s`, followed.perSecond.toFixed(0)],
        [
          'memory of that follower (RSS), in the first tenth and the last',
          `${MB(followed.early)}, ${MB(followed.late)}`,
        ],
        [`all ${listed.count} streams listed, ms`, listed.ms.toFixed(0)],
        [
          'one stream of 1 M events, ms: last 10, 10 in the middle, another append',
          `${ms(stream.tail)}, ${ms(stream.middle)}, ${ms(stream.append)}`,
        ],
        [
          `the same of a stream of ${PER_STREAM}`,
          `${ms(brief.tail)}, ${ms(brief.middle)}, ${ms(brief.append)}`,
        ],
      ],
    ),
  ].join('\n\n')
}

function sizeOf(/** @type {string} */ directory) {
  return readdirSync(directory).reduce((sum, file) => sum + statSync(join(directory, file)).size, 0)
}
