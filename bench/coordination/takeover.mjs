// @ts-check
/** How long nobody leads when a leader is told to end, and when it is killed. */
import { setTimeout as sleep } from 'node:timers/promises'
import { now } from '../events/load.mjs'
import { median, table } from '../measure.mjs'
import { banyan, etcdctl } from './candidates.mjs'

const TTL_S = 2
/** It has no option for it. */
const ELECT_TTL_S = 60
const TURNS = 3
/** Hand-overs of one turn. */
const HAND_OVERS = 20
const KILLS = 12
/** Side by side, as each takes a minute. */
const ELECT_KILLS = 4

/**
 * @param {{ sqlite: string, postgres: string, etcd: string }} places
 * @returns {Promise<string[]>} tables in Markdown
 */
export async function takeover({ sqlite, postgres, etcd }) {
  const ttl = TTL_S * 1000
  const elect = (/** @type {string} */ name) => pairOf(etcdctl(etcd, name, ['elect', name, 'somebody']))
  const ours = {
    'banyan, sqlite': await pairOf(banyan(sqlite, ttl)),
    'banyan, postgres': await pairOf(banyan(postgres, ttl)),
    'banyan, etcd': await pairOf(banyan(etcd, ttl)),
  }
  const electing = await elect('bench-elect')
  const locking = await pairOf(etcdctl(etcd, 'bench-lock', ['lock', 'bench-lock', `--ttl=${TTL_S}`]))
  const killedElections = await Promise.all(
    Array.from({ length: ELECT_KILLS }, (_, index) => elect(`bench-elect-${index}`)),
  )
  const pairs = [...Object.values(ours), electing, locking, ...killedElections]
  try {
    // For a minute they do nothing but wait.
    const elected = Promise.all(killedElections.map((pair) => pair.kill()))
    elected.catch(() => undefined)

    const told = { ...ours, 'etcdctl elect': electing, 'etcdctl lock': locking }
    /** @type {Record<string, number[]>} */
    const handedOver = {}
    for (let turn = 0; turn < TURNS; turn++)
      for (const [name, pair] of Object.entries(told))
        for (let time = 0; time < HAND_OVERS; time++) (handedOver[name] ??= []).push(await pair.handOver())

    console.error(`  ${TURNS * HAND_OVERS} hand-overs of each`)
    const killed = { ...ours, 'etcdctl lock --ttl=2': locking }
    /** @type {Record<string, number[]>} */
    const tookOver = {}
    // Side by side, as they wait nearly all of the time.
    await Promise.all(
      Object.entries(killed).map(async ([name, pair]) => {
        for (let time = 0; time < KILLS; time++) {
          // At any time between two renewals.
          await sleep((Math.random() * TTL_S * 1000) / 3)
          ;(tookOver[name] ??= []).push(await pair.kill())
        }
      }),
    )
    console.error(`  ${KILLS} leaders of each killed`)
    const late = (/** @type {string} */ name, /** @type {number[]} */ times, lease = TTL_S) => [
      name,
      `${lease} s`,
      String(times.length),
      (median(times) / 1000).toFixed(2),
      (Math.max(...times) / 1000).toFixed(2),
      (Math.max(...times) - lease * 1000).toFixed(0),
    ]
    return [
      '### From SIGTERM to a leader until the next one leads, in another process',
      table(
        ['', 'times', 'p50 ms', 'highest ms'],
        Object.entries(handedOver).map(([name, times]) => [
          name,
          String(times.length),
          median(times).toFixed(1),
          Math.max(...times).toFixed(1),
        ]),
      ),
      '### From SIGKILL to a leader until the next one leads',
      `etcdctl elect has a lease of ${ELECT_TTL_S} s, and no option for another.`,
      table(
        ['', 'lease', 'times', 'p50 s', 'highest s', 'highest, ms behind the lease'],
        [
          ...Object.entries(tookOver).map(([name, times]) => late(name, times)),
          late('etcdctl elect', await elected, ELECT_TTL_S),
        ],
      ),
    ]
  } finally {
    for (const pair of pairs) pair.end()
  }
}

/** One that leads and one that is next. */
async function pairOf(/** @type {import('./candidates.mjs').Kind} */ { start, stays }) {
  let leader = start()
  await leader.leads()
  let next = start()
  await next.waits()

  /** Ends the leader, and times until the next one leads, in ms. */
  async function replace(
    /** @type {'SIGTERM' | 'SIGKILL'} */ signal,
    /** @type {(last: import('./candidates.mjs').Candidate) => import('./candidates.mjs').Candidate} */ another,
  ) {
    const leads = next.leads()
    const at = now()
    leader.signal(signal)
    const took = (await leads) - at
    ;[leader, next] = [next, another(leader)]
    await next.waits()
    return took
  }

  return {
    handOver: () => replace('SIGTERM', (last) => (stays ? last : start())),
    kill: () => replace('SIGKILL', start),
    end: () => [leader, next].forEach((each) => each.signal('SIGKILL')),
  }
}
