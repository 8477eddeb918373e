import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../src/core/random.js'
import { formatPosition } from '../../src/events/position.js'
import { checkHistory, type Attempt, type History, type SeenEvent } from '../../src/testing/index.js'
import { BREAKS } from './breaks.js'
import { rightHistory } from './right-history.js'

describe('checkHistory', () => {
  it('finds nothing in right histories, whatever became of appends without an answer', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const world = rightHistory(seed)
        expect(checkHistory(world, { caughtUp: true }).summary).toMatch(/^nothing lost/)
      }),
      { numRuns: 300 },
    )
  })

  for (const [name, { kind, break: breakIt }] of Object.entries(BREAKS))
    it(`finds ${kind} where a log ${name}`, () => {
      let broken = 0
      fc.assert(
        fc.property(fc.integer(), (seed) => {
          const world = breakIt(rightHistory(seed), seededRandom(seed))
          if (!world) return
          broken++
          const verdict = checkHistory(world, { caughtUp: true })
          expect(verdict.counts[kind], verdict.summary).toBeGreaterThan(0)
          expect(verdict.ok).toBe(false)
          expect(verdict.anomalies.every(({ message }) => message.length > 20)).toBe(true)
        }),
        { numRuns: 60 },
      )
      expect(broken).toBeGreaterThan(10)
    })

  it('counts what became of the attempts', () => {
    const world = rightHistory(7)
    const { commits, events, followed } = checkHistory(world)
    const { attempted, acknowledged, refused, unknownAppended, unknownAbsent } = commits
    expect(attempted).toBe(60)
    expect(acknowledged + refused + unknownAppended + unknownAbsent).toBe(60)
    expect(events).toBe(world.log.length)
    expect(followed).toBeGreaterThan(world.log.length)
  })

  it('allows what was truncated to be missing, and nothing behind it', () => {
    const world = rightHistory(11)
    const cut = Math.floor(world.log.length / 2)
    const truncated = world.log[cut]!.position
    const log = world.log.slice(cut + 1)
    const follows = world.follows.slice(0, 2)
    expect(checkHistory({ attempts: world.attempts, follows, log, truncated }).summary).toMatch(/^nothing/)
    expect(checkHistory({ attempts: world.attempts, follows, log }).counts.lost).toBeGreaterThan(0)
    const acknowledged = world.attempts.findLast(({ outcome }) => outcome === 'ok')!.commit
    const more = log.filter(({ commit }) => commit !== acknowledged)
    expect(checkHistory({ attempts: world.attempts, follows, log: more, truncated }).ok).toBe(false)
  })

  it('takes a quarter of a million events in seconds', { timeout: 60_000 }, () => {
    const attempts: Attempt[] = []
    const log: SeenEvent[] = []
    for (let number = 0; number < 250_000; number++) {
      const stream = `order-${number % 1000}`
      const [commit, id] = [`c${number}`, `c${number}/0`]
      const position = formatPosition(number + 1)
      const streams = [{ stream, expected: 'any' as const, events: [{ id, digest: number }] }]
      attempts.push({
        writer: 'w',
        commit,
        streams,
        began: number,
        ended: number + 0.5,
        outcome: 'ok',
        position,
      })
      const revision = Math.floor(number / 1000)
      log.push({ position, stream, revision, commit, id, type: 'T', tags: [], digest: number })
    }
    const batch = { events: log, position: log.at(-1)!.position, caughtUp: true, truncated: false }
    const history: History = {
      attempts,
      log,
      follows: [{ follower: 'f', selector: {}, from: '0', batches: [batch] }],
    }
    const began = performance.now()
    expect(checkHistory(history, { caughtUp: true }).summary).toMatch(/^nothing lost/)
    expect(performance.now() - began).toBeLessThan(15_000)
  })
})
