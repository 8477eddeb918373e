// @ts-check
/**
 * What a call costs under a policy, against cockatiel and opossum: ns a call around an async function that does
 * nothing, one call after the other. The rounds of all candidates are interleaved.
 */
import * as cockatiel from 'cockatiel'
import CircuitBreaker from 'opossum'
import {
  bulkhead,
  circuitBreaker,
  hedge,
  pipeline,
  rateLimit,
  retry,
  timeout,
} from '../dist/traffic/index.js'
import { median, spread, table } from './measure.mjs'

const ROUNDS = 9
const noop = async () => 1
const readsSignal = async (/** @type {{ signal: AbortSignal }} */ { signal }) => signal

const ours = {
  timeout: timeout('3s'),
  retry: retry(),
  breaker: circuitBreaker(),
  bulkhead: bulkhead({ concurrency: 100, queue: 100 }),
  rateLimit: rateLimit({ limit: 1_000_000_000, window: '1s' }),
  hedge: hedge(),
}
const full = pipeline(ours.timeout, ours.rateLimit, ours.retry, ours.breaker, ours.bulkhead)
const open = circuitBreaker({ minimumCalls: 1 })
open.force({ state: 'open' })

const theirBreaker = cockatiel.circuitBreaker(cockatiel.handleAll, {
  halfOpenAfter: 5_000,
  breaker: new cockatiel.SamplingBreaker({ threshold: 0.5, duration: 10_000 }),
})
const theirFull = cockatiel.wrap(
  cockatiel.retry(cockatiel.handleAll, { maxAttempts: 3, backoff: new cockatiel.ExponentialBackoff() }),
  theirBreaker,
  cockatiel.timeout(3_000, cockatiel.TimeoutStrategy.Aggressive),
  cockatiel.bulkhead(100, 100),
)
const theirOpen = cockatiel.circuitBreaker(cockatiel.handleAll, {
  halfOpenAfter: 1e9,
  breaker: new cockatiel.ConsecutiveBreaker(1),
})
theirOpen.isolate()
const opossumTimed = new CircuitBreaker(noop, { timeout: 3_000 })
const opossumPlain = new CircuitBreaker(noop, { timeout: false })

/** @type {Record<string, [calls: number, call: () => Promise<unknown>]>} */
const candidates = {
  'bare async function': [300_000, noop],
  'banyan timeout': [200_000, () => ours.timeout.execute(noop)],
  'banyan retry': [200_000, () => ours.retry.execute(noop)],
  'banyan circuit breaker': [200_000, () => ours.breaker.execute(noop)],
  'banyan bulkhead': [200_000, () => ours.bulkhead.execute(noop)],
  'banyan rate limit': [200_000, () => ours.rateLimit.execute(noop)],
  'banyan hedge': [200_000, () => ours.hedge.execute(noop)],
  'banyan full pipeline': [200_000, () => full.execute(noop)],
  'banyan full pipeline, signal read': [30_000, () => full.execute(readsSignal)],
  'banyan breaker open, refusal': [100_000, () => open.execute(noop).catch(() => 0)],
  'cockatiel circuit breaker': [200_000, () => theirBreaker.execute(noop)],
  'cockatiel retry + breaker + timeout + bulkhead': [20_000, () => theirFull.execute(noop)],
  'cockatiel breaker open, refusal': [100_000, () => theirOpen.execute(noop).catch(() => 0)],
  'opossum, timeout off': [100_000, () => opossumPlain.fire()],
  'opossum, timeout 3 s': [100_000, () => opossumTimed.fire()],
}

export async function policies() {
  /** @type {Record<string, number[]>} */
  const results = {}
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [name, [calls, call]] of Object.entries(candidates)) {
      const startedAt = process.hrtime.bigint()
      for (let index = 0; index < calls; index++) await call()
      const each = Number(process.hrtime.bigint() - startedAt) / calls
      // The first round warms up.
      if (round > 0) (results[name] ??= []).push(each)
    }
  }
  opossumPlain.shutdown()
  opossumTimed.shutdown()
  const of = (/** @type {string} */ name) => median(/** @type {number[]} */ (results[name]))
  const ratio = (/** @type {string} */ a, /** @type {string} */ b) => (of(a) / of(b)).toFixed(3)
  return [
    '## Policies: ns a call',
    '',
    table(
      ['', 'ns, median (spread)'],
      Object.entries(results).map(([name, values]) => [name, spread(values)]),
    ),
    '',
    table(
      ['ratio', 'goal', 'measured'],
      [
        [
          "full pipeline of five / cockatiel's four",
          '<= 0.100',
          ratio('banyan full pipeline', 'cockatiel retry + breaker + timeout + bulkhead'),
        ],
        [
          'the same with the signal read',
          '',
          ratio('banyan full pipeline, signal read', 'cockatiel retry + breaker + timeout + bulkhead'),
        ],
        ["breaker / cockatiel's", '<= 1', ratio('banyan circuit breaker', 'cockatiel circuit breaker')],
        ['breaker / opossum without timeout', '< 1', ratio('banyan circuit breaker', 'opossum, timeout off')],
        ['breaker / opossum with timeout', '< 1', ratio('banyan circuit breaker', 'opossum, timeout 3 s')],
        [
          "refusal / cockatiel's",
          '',
          ratio('banyan breaker open, refusal', 'cockatiel breaker open, refusal'),
        ],
      ],
    ),
  ].join('\n')
}

if (process.argv[1] === import.meta.filename) console.log(await policies())
