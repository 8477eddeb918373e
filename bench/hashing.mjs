// @ts-check
/**
 * Which shard a key belongs to: lookups with 100 shards and keys that never came before, beside two packages; tables and what they
 * take; bounded loads. By CPU time of the process, so that others on the machine count less.
 */
import { execFileSync } from 'node:child_process'
import { loadavg } from 'node:os'
import { fileURLToPath } from 'node:url'
import { boundedPlacement, placement } from '../dist/coordination/index.js'
import { named, SHARDS } from './hashing/shards.mjs'
import { median, spread, table } from './measure.mjs'

const PEERS = ['hashring', 'consistent-hash']
const STRATEGIES = ['ring', 'maglev', 'jump', 'rendezvous']
const alone = fileURLToPath(new URL('./hashing/alone.mjs', import.meta.url))

const millions = (/** @type {number} */ rate) => (rate / 1e6).toFixed(rate < 1e6 ? 2 : 1)

/** @param {string[]} args */
const measure = (...args) =>
  JSON.parse(execFileSync(process.execPath, [alone, ...args], { encoding: 'utf8' }))

function lookups() {
  const names = ['bucketOf', ...STRATEGIES, 'bounded', ...PEERS, 'heat', 'heat-few']
  /** @type {Record<string, number[]>} */
  const texts = Object.fromEntries(names.map((name) => [name, measure('texts', name)]))
  const of = (/** @type {string} */ name) => median(texts[name] ?? [])
  /** @param {string} label @param {string} name */
  const row = (label, name) => [
    label,
    spread(texts[name] ?? [], millions),
    ...PEERS.map((peer) => (of(name) / of(peer)).toFixed(1)),
    ['ring', 'maglev', 'jump'].includes(name) ? spread(measure('numbers', name), millions) : '',
  ]
  return table(
    ['', 'million a second, texts', ...PEERS.map((peer) => `x ${peer}`), 'numbers'],
    [
      row('banyan `bucketOf`', 'bucketOf'),
      ...STRATEGIES.map((strategy) => row(`banyan ${strategy}`, strategy)),
      row('banyan `boundedPlacement` on a ring, `assign`', 'bounded'),
      ...PEERS.map((peer) => row(peer, peer)),
      row('banyan `heatMeter`, `record`, every key a new one', 'heat'),
      row('banyan `heatMeter`, `record`, of 90 keys', 'heat-few'),
    ],
  )
}

function tables() {
  return [...STRATEGIES, ...PEERS].map((name) => [
    PEERS.includes(name) ? name : `banyan ${name}`,
    ...[100, 1000].flatMap((count) => {
      const { times, bytes } = measure('table', name, String(count))
      return [spread(times, (ms) => ms.toFixed(1)), (bytes / 1024).toFixed(0)]
    }),
  ])
}

/** @param {number} factor */
function bounded(factor) {
  const count = 50_000
  const on = placement('ring', named(SHARDS))
  const of = boundedPlacement(on, { factor })
  let away = 0
  for (let index = 0; index < count; index++) if (of.assign(`k${index}`) !== on.shardOf(`k${index}`)) away++
  const fullest = (Math.max(...of.loads().map(({ keys }) => keys)) * SHARDS) / count
  let moves = 0
  for (let index = 0; index < count / 2; index++) moves += of.release(`k${index}`).length
  const left = of.size
  const comes = of.use(placement('ring', named(SHARDS + 1))).length
  const goes = of.use(on).length
  const part = (/** @type {number} */ keys, all = left) => `${((100 * keys) / all).toFixed(1)} %`
  return [
    String(factor),
    fullest.toFixed(2),
    part(away, count),
    (moves / (count - left)).toFixed(3),
    part(comes),
    part(goes),
  ]
}

/** @returns {Promise<string>} tables in Markdown */
export async function hashing() {
  const [before = 0] = loadavg()
  const rates = lookups()
  const made = tables()
  const loads = [1.05, 1.1, 1.25, 1.5].map(bounded)
  const [after = 0] = loadavg()
  return [
    '## Hashing: which shard a key belongs to',
    `By CPU time, each in a process of its own. Whatever else runs on the two cores takes caches away: the load average was ${before.toFixed(1)} before and ${after.toFixed(1)} after. Median of 7 rounds (lowest – highest).`,
    `### Lookups, ${SHARDS} shards`,
    'Every text is a new one of 17 characters, made before it is measured; numbers are of 32 bits. hashring hashes by MD5, and has a cache, which does not help here; consistent-hash draws its points by chance, so two processes do not agree.',
    rates,
    '### Making a table',
    'maglev has 65,537 places for 100 shards, and 655,373 for 1,000.',
    table(['', '100 shards: ms', 'kB', '1,000 shards: ms', 'kB'], made),
    '### Bounded loads: 50,000 keys on a ring of 100 shards',
    'Away: keys that are not on the shard that would be theirs without a bound. Then half of the keys go, one after the other; then a 101st shard comes, and goes.',
    table(
      [
        'factor',
        'fullest shard, of the mean',
        'away',
        'moves of others for each key that goes',
        'moved when one comes',
        'when it goes',
      ],
      loads,
    ),
  ].join('\n\n')
}
