import assert from 'node:assert/strict'
import type { LogDriver } from '../../events/driver.js'
import { DriverLog } from '../../events/event-log.js'
import type { Batch, EventLog, FollowOptions, RecordedEvent, Selector } from '../../events/log.js'
import {
  checkHistory,
  historyOf,
  historyRecorder,
  loggedEvents,
  type HistoryEntry,
} from '../history/index.js'
import {
  appended,
  collect,
  stepwise,
  numbered,
  place,
  put,
  soon,
  takeBatches,
  takeEvents,
  turns,
} from './kit.js'
import type { CaseDefinition } from './setup.js'

const WRITERS = 4
const COMMITS = 150

/** Following: what is there, then what comes, with no gap, until it is ended. */
export const followCases: readonly CaseDefinition[] = [
  {
    name: 'a follower is given what is there and then what comes',
    async run({ log, another }) {
      const other = await another()
      await put(log, 'a-1', 3)
      const follower = stepwise(log.follow())
      const seen: RecordedEvent[] = []
      const until = async (count: number): Promise<Batch> => {
        for (;;) {
          const value = await follower.next(`following to ${count} events`)
          seen.push(...value.events)
          assert.ok(seen.length <= count, `${seen.length} events of ${count}`)
          if (seen.length === count && value.caughtUp) return value
        }
      }
      assert.equal((await until(3)).position, await log.head())
      for (let number = 3; number < 30; number += 3) {
        await put(number % 2 === 0 ? log : other, 'a-1', 3, { first: number })
        await until(number + 3)
      }
      await follower.stop()
      assert.deepEqual(seen, await collect(log.read()))
    },
  },
  {
    name: 'a follower from the end is given only what comes',
    async run({ log }) {
      await put(log, 'a-1', 3)
      const follower = stepwise(log.follow({}, { from: 'end' }))
      const first = await follower.next('the first batch')
      assert.deepEqual([first.events, first.caughtUp], [[], true])
      await put(log, 'a-1', 2)
      const events = [...(await follower.next('the next batch')).events]
      if (events.length === 1) events.push(...(await follower.next('the batch after')).events)
      assert.deepEqual(events.map(place), ['a-1@3', 'a-1@4'])
      await follower.stop()
    },
  },
  {
    name: 'a follower goes on from the position of any batch, and misses and repeats nothing',
    async run({ log }) {
      for (let number = 0; number < 5; number++) {
        await put(log, 'a-1', 3, { tags: ['t'] })
        await put(log, 'b-1', 2)
      }
      const end = await log.head()
      const atEnd = (_: unknown, { position, caughtUp }: Batch): boolean => caughtUp || position >= end
      for (const selector of [{}, { stream: 'a-1' }, { category: 'b' }, { tags: ['t'] }]) {
        const all = (await collect(log.read(selector))).map(place)
        for (const batch of [1, 3, 100]) {
          const batches = await takeBatches(log.follow(selector, { batch }), atEnd, 'all batches')
          assert.ok(
            batches.every(({ events }) => events.length <= batch),
            `more than ${batch} events in a batch`,
          )
          for (const { position } of batches) {
            const seen = all.slice(
              0,
              all.length - (await collect(log.read(selector, { from: position }))).length,
            )
            const given = batches
              .filter((each) => each.position <= position)
              .flatMap(({ events }) => events.map(place))
            assert.deepEqual(given, seen, `up to ${position} of ${JSON.stringify(selector)}`)
            const rest = await takeBatches(log.follow(selector, { batch, from: position }), atEnd, 'the rest')
            assert.deepEqual([...given, ...rest.flatMap(({ events }) => events.map(place))], all)
          }
        }
      }
    },
  },
  {
    name: 'a follower of a part is given only that, and comes past the rest',
    async run({ log }) {
      const following = (selector: Selector, options: FollowOptions = {}): Promise<RecordedEvent[]> =>
        takeEvents(log.follow(selector, options), 4, JSON.stringify(selector))
      const followers = Promise.all([
        following({ stream: 'a-1' }),
        following({ category: 'a' }),
        following({ tags: ['t'] }),
        following({ types: ['B'] }),
        following({ category: 'b', types: ['B'], tags: ['t'] }, { batch: 1 }),
      ])
      for (let number = 0; number < 4; number++) {
        await put(log, 'other', 100)
        await put(log, 'a-1', 1)
        await put(log, 'b-1', 1, { type: 'B', tags: ['t', `n:${number}`] })
      }
      const found = await followers
      assert.deepEqual(
        found.map((events) => new Set(events.map(({ stream }) => stream)).size),
        [1, 1, 1, 1, 1],
      )
      assert.deepEqual(
        found.map((events) => events.map(({ revision }) => revision)),
        found.map(() => [0, 1, 2, 3]),
      )
    },
  },
  {
    name: 'followers at the end of the log under load miss, repeat and reorder nothing',
    async run({ log, another, capabilities }) {
      const handles = [log, await another()]
      const entries: HistoryEntry[] = []
      const recorder = historyRecorder({ name: 'load', write: (entry) => entries.push(entry) })
      const stop = new AbortController()
      const total = WRITERS * COMMITS
      const write = async (writer: number): Promise<void> => {
        for (let number = 0; number < COMMITS; number++) {
          const names = [`shared-${number % 3}`, `own-${writer}`].slice(
            0,
            capabilities.atomic === 'log' ? 2 : 1,
          )
          const streams = names.map((stream) => ({ stream, events: numbered(1 + (number % 3), number) }))
          const result = recorder.append(handles[writer % 2]!, { id: `w${writer}-${number}`, streams })
          // Some wait for their answer, some have more on its way.
          if (writer % 2 === 0) appended(await result)
          else if (number % 20 === 19) appended(await result)
          else void result.catch(() => undefined)
        }
      }
      const follow = async (
        name: string,
        follower: EventLog,
        selector: Selector,
        batch: number,
      ): Promise<void> => {
        const batches = recorder.follow(name, follower, selector, { batch, signal: stop.signal })
        for await (const { events } of batches) if (events.some(({ commit }) => commit === 'last')) return
      }
      const followers = Promise.all([
        follow('all', handles[0]!, {}, 512),
        follow('other', handles[1]!, {}, 3),
        follow('category', handles[1]!, { category: 'shared' }, 7),
      ])
      await soon(
        Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer))),
        `${total} appends`,
      )
      // What every follower waits for.
      await recorder.append(log, { id: 'last', streams: [{ stream: 'shared-0', events: numbered(1) }] })
      const stuck: unknown = await soon(followers, 'followers at the end').catch((error: unknown) => error)
      stop.abort()
      const history = { ...historyOf(entries), log: await loggedEvents(log) }
      const verdict = checkHistory(history, { order: capabilities.order, caughtUp: true })
      assert.ok(verdict.ok, verdict.summary)
      assert.equal(stuck instanceof Error, false, String(stuck))
      assert.equal(verdict.commits.acknowledged, total + 1)
    },
  },
  {
    name: 'the signal ends a follower quietly, while it waits, while it reads, and before it begins',
    async run({ log }) {
      await put(log, 'a-1', 3)
      const waiting = new AbortController()
      const waits = collect(log.follow({}, { signal: waiting.signal }))
      await turns()
      waiting.abort()
      assert.ok((await soon(waits, 'a follower that waits')).length <= 1)
      const reading = new AbortController()
      const seen: Batch[] = []
      for await (const batch of log.follow({}, { signal: reading.signal, batch: 1 })) {
        seen.push(batch)
        reading.abort()
      }
      assert.ok(seen.length >= 1)
      assert.deepEqual(
        await soon(collect(log.follow({}, { signal: AbortSignal.abort() })), 'a follower without a chance'),
        [],
      )
    },
  },
  {
    name: 'closing the log ends its followers quietly',
    async run({ log }) {
      await put(log, 'a-1', 3)
      const followers = [{}, { stream: 'a-1' }, { category: 'absent' }].map((selector) =>
        collect(log.follow(selector)),
      )
      await turns()
      await soon(log.close(), 'close')
      for (const follower of followers) await soon(follower, 'a follower of a closed log')
    },
  },
  {
    name: 'a follower reads the next page only when it is asked for',
    async run({ log, driver }) {
      for (let number = 0; number < 6; number++) await put(log, 'a-1', 5)
      let reads = 0
      // The same driver, counted; the log under test closes it.
      const counted: LogDriver = new Proxy(driver, {
        get(target, name) {
          const value: unknown = Reflect.get(target, name, target)
          if (name === 'read') reads++
          return typeof value === 'function' ? (value.bind(target) as unknown) : value
        },
      })
      const follower = stepwise(new DriverLog(counted).follow({}, { batch: 5 }))
      for (let page = 1; page <= 3; page++) {
        const { events } = await follower.next('the next page')
        assert.ok(events.length > 0 && events.length <= 5, `${events.length} events of at most 5`)
        await turns(20)
        assert.equal(reads, page, 'it has read ahead')
      }
      await follower.stop()
    },
  },
]
