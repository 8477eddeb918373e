import assert from 'node:assert/strict'
import { systemClock } from '../../core/clock.js'
import type { EncodedCommit, LogDriver, Outcome, Page, Query, StoredEvent } from '../../events/driver.js'
import { encodeCommit } from '../../events/encode.js'
import type { Commit } from '../../events/log.js'
import { formatPosition, parsePosition } from '../../events/position.js'
import { numbered, put, soon, turns } from './kit.js'
import type { CaseDefinition } from './setup.js'

function encode(commit: Commit): EncodedCommit {
  return encodeCommit(commit, { eventBytes: 1e8, commitBytes: 1e9, commitEvents: 1e6 }, systemClock)
}

function one(stream: string, id: string, expected: 'any' | 'none' | number = 'any'): EncodedCommit {
  return encode({ id, streams: [{ stream, expected, events: numbered(1) }] })
}

/** Appends a group, and waits for every outcome. */
async function append(driver: LogDriver, group: readonly EncodedCommit[]): Promise<Outcome[]> {
  const outcomes = await soon(driver.append(group), `a group of ${group.length}`)
  return Promise.all(outcomes.map((outcome) => Promise.resolve(outcome)))
}

/** What came of a commit, in short. */
function brief(outcome: Outcome): string {
  if (outcome.kind !== 'appended') return outcome.kind
  return `${outcome.revisions.join()}${outcome.duplicate ? ' again' : ''}`
}

/** All pages of a query, with what must be true of each. */
async function pages(
  driver: LogDriver,
  query: Omit<Query, 'after'> & { after?: string },
): Promise<StoredEvent[]> {
  const found: StoredEvent[] = []
  let { after = '0', before } = query
  for (let count = 0; ; count++) {
    const page: Page = await driver.read({ ...query, after, ...(before !== undefined && { before }) })
    const what = `page ${count} of ${JSON.stringify(query)}`
    assert.ok(page.events.length <= query.limit, `${what} has ${page.events.length} events`)
    assert.ok(page.events.length > 0 || page.end, `${what} is empty, and not the end`)
    for (const { position } of page.events)
      assert.ok(
        query.backwards ? position >= page.position : position <= page.position,
        `${what} ends before its last event`,
      )
    found.push(...page.events)
    if (query.backwards) {
      assert.ok(page.end || before === undefined || page.position < before, `${what} goes nowhere`)
      before = page.position
    } else {
      assert.ok(page.position >= after && (page.end || page.position > after), `${what} goes nowhere`)
      after = page.position
    }
    if (page.end) return found
  }
}

/** What only the log over a driver sees: groups, pages and wake-ups. */
export const driverCases: readonly CaseDefinition[] = [
  {
    name: 'driver: a group is appended in order, each commit on its own, and later ones see earlier ones',
    async run({ driver }) {
      await append(driver, [one('a', 'c0')])
      const outcomes = await append(driver, [
        one('a', 'c1', 0),
        one('a', 'c2', 0),
        one('a', 'c3', 1),
        one('b', 'c4', 'none'),
        one('b', 'c5', 'none'),
        one('a', 'c1', 0),
        one('b', 'c3'),
        encode({ id: 'c6', checks: [{ stream: 'b', expected: 0 }] }),
        encode({ id: 'c7', streams: [{ stream: 'd', events: [{ id: 'e', type: 'A' }] }] }),
        encode({ id: 'c8', streams: [{ stream: 'd', events: [{ id: 'e', type: 'A' }] }] }),
        one('b', 'c9', 0),
      ])
      assert.deepEqual(outcomes.map(brief), [
        '1',
        'conflict',
        '2',
        '0',
        'conflict',
        '1 again',
        'overlap',
        '',
        '0',
        'overlap',
        '1',
      ])
      const [first, , third, , , again] = outcomes
      assert.ok(first?.kind === 'appended' && third?.kind === 'appended' && again?.kind === 'appended')
      assert.equal(again.position, first.position)
      assert.ok((first.position ?? '') < (third.position ?? ''), 'positions of a group do not rise')
      assert.deepEqual(
        (await pages(driver, { limit: 100, backwards: false })).map(({ commit }) => commit),
        ['c0', 'c1', 'c3', 'c4', 'c7', 'c9'],
      )
    },
  },
  {
    name: 'driver: groups that are on their way together keep their order',
    async run({ driver }) {
      const groups = Array.from({ length: driver.parallel }, (_, group) =>
        append(
          driver,
          Array.from({ length: 20 }, (_, number) => one('a', `g${group}-${number}`)),
        ),
      )
      const outcomes = (await soon(Promise.all(groups), `${driver.parallel} groups`)).flat()
      assert.deepEqual(
        outcomes.map(brief),
        outcomes.map((_, number) => String(number)),
      )
    },
  },
  {
    name: 'driver: positions are consecutive where it says so',
    async run({ driver }) {
      if (!driver.consecutive) return
      const commits = Array.from({ length: 40 }, (_, number) =>
        encode({
          id: `c${number}`,
          streams: ['a', 'b'].map((category) => ({
            stream: `${category}-${number % 7}`,
            expected: number % 5 === 0 ? 17 : ('any' as const),
            events: numbered(1 + (number % 4)),
          })),
        }),
      )
      const outcomes = (
        await Promise.all([append(driver, commits.slice(0, 20)), append(driver, commits.slice(20))])
      ).flat()
      const all = await pages(driver, { limit: 1000, backwards: false })
      assert.ok(outcomes.some(({ kind }) => kind === 'conflict'))
      for (const [index, outcome] of outcomes.entries()) {
        if (outcome.kind !== 'appended') continue
        const { id, events } = commits[index]!
        const last = parsePosition(outcome.position!)
        const positions = all.filter(({ commit }) => commit === id).map(({ position }) => position)
        assert.deepEqual(
          positions,
          Array.from({ length: events }, (_, at) => formatPosition(last - events + 1 + at)),
        )
      }
    },
  },
  {
    name: 'driver: pages follow each other without a gap, of any size, both ways',
    async run({ driver, log }) {
      for (let number = 0; number < 12; number++)
        await put(log, number % 3 === 0 ? 'a-1' : 'b-1', 3, { tags: ['t'] })
      const all = (await pages(driver, { limit: 1000, backwards: false })).map(({ position }) => position)
      assert.equal(all.length, 36)
      const queries = [
        {},
        { stream: 'a-1' },
        { category: 'b' },
        { tags: ['t'] },
        { types: ['Happened'] },
        { upTo: all[20]! },
        { stream: 'b-1', fromRevision: 3, toRevision: 17 },
      ]
      for (const query of queries) {
        const whole = await pages(driver, { ...query, limit: 1000, backwards: false })
        assert.ok(whole.length > 0)
        for (const limit of [1, 5, 35, 36]) {
          assert.deepEqual(
            await pages(driver, { ...query, limit, backwards: false }),
            whole,
            `forwards by ${limit}`,
          )
          assert.deepEqual(
            await pages(driver, { ...query, limit, backwards: true }),
            whole.toReversed(),
            `backwards by ${limit}`,
          )
        }
      }
    },
  },
  {
    name: 'driver: a page has at least one event if there is one, however large',
    async run({ driver, log }) {
      const events = Array.from({ length: 6 }, () => ({ type: 'Large', data: 'x'.repeat(3_000_000) }))
      await log.append({ streams: [{ stream: 'large', events }] })
      for (const backwards of [false, true]) {
        const found = await pages(driver, { limit: 512, backwards })
        assert.deepEqual(
          found.map(({ revision }) => revision),
          backwards ? [5, 4, 3, 2, 1, 0] : [0, 1, 2, 3, 4, 5],
        )
      }
    },
  },
  {
    name: 'driver: changed() resolves at once if there is something, when there is, and when the signal aborts',
    async run({ driver, log, another }) {
      const stop = new AbortController()
      const { position } = await put(log, 'a', 2)
      await soon(driver.changed('0', stop.signal), 'events behind the start')
      await soon(driver.changed(position, AbortSignal.abort()), 'a signal that was aborted before')
      for (const writer of [log, await another()]) {
        const head = await driver.head()
        const waits = [1, 2, 3].map(() => driver.changed(head, stop.signal))
        await turns()
        await put(writer, 'a', 1)
        await soon(Promise.all(waits), 'three that wait for an append')
      }
      const waiting = driver.changed(await driver.head(), stop.signal)
      stop.abort()
      await soon(waiting, 'one that waits when the signal aborts')
    },
  },
]
