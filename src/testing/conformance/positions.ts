import assert from 'node:assert/strict'
import { appended, collect, put, refuses, takeEvents } from './kit.js'
import type { CaseDefinition } from './setup.js'

const MALFORMED = ['', ' ', '-1', '1.5', 'abc', ' 0', '0 ', '\0', 'é', '9'.repeat(400), "0' or '1'='1", 'end']

/** Positions, the end of the log, and what is known of it. */
export const positionCases: readonly CaseDefinition[] = [
  {
    name: 'an empty log is empty for every question',
    async run({ log }) {
      assert.equal(await log.head(), '0')
      assert.equal(await log.positionAt(Number.MAX_SAFE_INTEGER), '0')
      assert.equal(await log.revision('a'), 'none')
      assert.deepEqual(await collect(log.read()), [])
      assert.deepEqual(await collect(log.read({}, { backwards: true })), [])
      assert.deepEqual(await collect(log.streams()), [])
      const { events, streams, commits, head, first, holds } = await log.stats()
      assert.deepEqual(
        { events, streams, commits, head, first, holds },
        { events: 0, streams: 0, commits: 0, head: '0', first: '0', holds: [] },
      )
      assert.deepEqual(await collect(log.verify()), [{ ok: true, events: 0, streams: 0 }])
    },
  },
  {
    name: 'refuses what is not a position',
    async run({ log }) {
      await put(log, 'a', 2)
      for (const position of MALFORMED) {
        const what = `position ${JSON.stringify(position)}`
        await refuses(
          collect(log.read({}, { from: position })),
          'BANYAN_INVALID_POSITION',
          `read from ${what}`,
        )
        await refuses(collect(log.read({}, { to: position })), 'BANYAN_INVALID_POSITION', `read to ${what}`)
        await refuses(log.hold('h', position), 'BANYAN_INVALID_POSITION', `hold at ${what}`)
        await refuses(
          log.truncate({ all: true, upTo: position }),
          'BANYAN_INVALID_POSITION',
          `truncate up to ${what}`,
        )
        if (position !== 'end')
          await refuses(
            takeEvents(log.follow({}, { from: position }), 1, what),
            'BANYAN_INVALID_POSITION',
            `follow from ${what}`,
          )
      }
      assert.equal((await collect(log.read())).length, 2)
      assert.deepEqual((await log.stats()).holds, [])
    },
  },
  {
    name: 'refuses to go on from a position behind the end, as of another log or before a restore',
    async run({ log, otherLog }) {
      await put(log, 'a', 2)
      const further = await otherLog()
      const { position } = await put(further, 'a', 50)
      assert.ok(position > (await log.head()), 'a longer log that was made later must have a larger head')
      await refuses(collect(log.read({}, { from: position })), 'BANYAN_POSITION_AHEAD', 'read')
      await refuses(
        takeEvents(log.follow({}, { from: position }), 1, 'follow'),
        'BANYAN_POSITION_AHEAD',
        'follow',
      )
      await refuses(log.hold('h', position), 'BANYAN_POSITION_AHEAD', 'hold')
    },
  },
  {
    name: 'counts what it holds',
    async run({ log, capabilities }) {
      for (let number = 0; number < 5; number++) await put(log, `a-${number}`, number + 1)
      const id = 'twice'
      await put(log, 'a-0', 1, { id })
      await put(log, 'a-0', 1, { id })
      const { driver, events, streams, commits, head, first, bytes, format } = await log.stats()
      assert.deepEqual(
        { driver, events, streams, commits },
        { driver: capabilities.driver, events: 16, streams: 5, commits: 6 },
      )
      const all = await collect(log.read())
      assert.deepEqual([first, head], [all[0]?.position, all.at(-1)?.position])
      assert.ok(bytes > 0 && Number.isInteger(format) && format > 0)
    },
  },
  {
    name: 'verifies clean, with the number of events and streams',
    async run({ log }) {
      for (let number = 0; number < 20; number++) {
        const streams = [`a-${number % 3}`, `b-${number % 5}`].map((stream) => ({
          stream,
          events: [
            { type: 'A', data: { number }, tags: ['t'], id: `${stream} ${number}` },
            { type: 'B', data: Buffer.from([number]), metadata: { number } },
          ],
        }))
        for (const stream of streams) appended(await log.append({ streams: [stream] }))
      }
      assert.deepEqual(await collect(log.verify()), [{ ok: true, events: 80, streams: 8 }])
    },
  },
]
