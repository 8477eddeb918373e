import fc from 'fast-check'
import { expect, it } from 'vitest'
import { eventError } from '../../src/events/errors.js'
import type { Commit, EventLog, Relay } from '../../src/events/index.js'
import { virtualRuntime } from '../../src/testing/index.js'
import { SEED, times } from '../support/effort.js'
import { altered } from '../support/logs.js'
import { Bench, engines } from './engines.js'

/** What is done, one after the other. */
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('enter' as const),
      keys: fc.array(fc.option(fc.nat(3)), { minLength: 1, maxLength: 6 }),
      outcome: fc.constantFrom('commit' as const, 'commit' as const, 'rollback' as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(300) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('restart' as const), batch: fc.integer({ min: 1, max: 8 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('twice' as const), batch: fc.integer({ min: 1, max: 8 }) }),
  },
)
const append = fc.constantFrom('appended', 'appended', 'appended', 'refused', 'unknown', 'odd', 'slow')

it(`messages of a key come in their order, each once, whatever fails (seed ${SEED})`, async () => {
  const [engine] = engines()
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 3, maxLength: 25 }),
      fc.array(append, { maxLength: 40 }),
      async (steps, outcomes) => {
        const runtime = virtualRuntime()
        const { clock } = runtime
        await using bench = await Bench.open(engine!, { runtime })
        const rest = [...outcomes]
        const log = altered(bench.log, {
          async append(commit: Commit) {
            const outcome = rest.shift() ?? 'appended'
            if (outcome === 'refused') throw eventError('BANYAN_LOG_UNAVAILABLE', 'the log is away')
            // Of a key alone, for all that the relay knows.
            if (outcome === 'odd') throw new TypeError('cannot read properties of undefined')
            if (outcome === 'slow') await clock.settle(Promise.resolve())
            const result = await bench.log.append(commit)
            if (outcome === 'unknown') throw eventError('BANYAN_OUTCOME_UNKNOWN', 'the connection was lost')
            return result
          },
        } satisfies Partial<EventLog>)
        const relays: Relay[] = [bench.relay({ batch: 3, attempts: 100 }, log)]
        const committed = new Map<string, number[]>()
        let number = 0
        for (const each of steps) {
          if (each.kind === 'wait') await clock.advance(each.ms)
          else if (each.kind === 'enter') {
            const messages = each.keys.map((key) => ({
              type: 'Counted',
              data: number++,
              ...(key !== null && { key: String(key) }),
            }))
            await bench.enter(0, 'count', messages, each.outcome)
            if (each.outcome === 'rollback') continue
            for (const { key, data } of messages) {
              const stream = key === undefined ? 'count' : `count-${key}`
              committed.set(stream, [...(committed.get(stream) ?? []), data])
            }
          } else {
            // As another process that is there at the same time; those before it may be in the middle of something.
            const closing = each.kind === 'restart' ? relays.splice(0).map((relay) => relay.close()) : []
            relays.push((await bench.another({ runtime })).relay(log, { batch: each.batch, attempts: 100 }))
            await Promise.all(closing)
          }
        }
        while ((await bench.outbox.status()).waiting.count > 0) await clock.advance(1000)
        expect((await bench.outbox.status()).parked).toEqual([])
        const relayed = new Map<string, number[]>()
        for await (const { stream, data } of bench.log.read())
          relayed.set(stream, [...(relayed.get(stream) ?? []), data as number])
        const sorted = relayed.get('count')
        if (sorted) sorted.sort((a, b) => a - b)
        expect(relayed).toEqual(committed)
      },
    ),
    { seed: SEED, numRuns: times(60) },
  )
})
