import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BanyanError } from '../../core/errors.js'
import type { EventLog } from '../../events/log.js'
import { appended, collect, numbered, place, put, refuses, soon, takeEvents } from './kit.js'
import type { CaseDefinition } from './setup.js'

/** Sends commits of three events, and tells of each whether it was acknowledged or certainly not appended. */
function sendMany(log: EventLog, count: number): Promise<boolean[]> {
  const send = async (number: number): Promise<boolean> => {
    const streams = [{ stream: `a-${number % 7}`, events: numbered(3, number) }]
    try {
      return appended(await log.append({ id: `c${number}`, streams })).ok
    } catch (error) {
      assert.ok(
        error instanceof BanyanError && error.code === 'BANYAN_LOG_CLOSED',
        `an append while closing: ${String(error)}`,
      )
      return false
    }
  }
  return Promise.all(Array.from({ length: count }, (_, number) => send(number)))
}

/** Closing, opening again, and backups. */
export const closeCases: readonly CaseDefinition[] = [
  {
    name: 'everything is there after a restart',
    needs: ['restart'],
    async run({ log, restart }) {
      for (let number = 0; number < 10; number++) {
        const events = [
          ...numbered(2, number),
          { type: 'Bytes', data: Buffer.from([number]), tags: ['t'], metadata: { number } },
        ]
        appended(await log.append({ streams: [{ stream: `a-${number % 3}`, events }] }))
      }
      const look = async (each: EventLog): Promise<unknown> => ({
        events: await collect(each.read()),
        head: await each.head(),
        tagged: await collect(each.read({ tags: ['t'] }, { backwards: true })),
        category: (await collect(each.read({ category: 'a' }))).length,
        streams: await collect(each.streams()),
        revision: await each.revision('a-1'),
        counts: (({ events, streams, commits, first }) => ({ events, streams, commits, first }))(
          await each.stats(),
        ),
      })
      const before = await look(log)
      const middle = (await collect(log.read()))[14]!.position
      const after = await restart()
      assert.deepEqual(await look(after), before)
      const rest = await takeEvents(after.follow({}, { from: middle }), 15, 'going on after a restart')
      assert.deepEqual(rest.map(place), (await collect(after.read({}, { from: middle }))).map(place))
      const next = await put(after, 'a-1', 1, { expected: 8 })
      assert.ok(next.position > middle)
      assert.deepEqual((await collect(after.verify())).at(-1), { ok: true, events: 31, streams: 3 })
    },
  },
  {
    name: 'close waits for what it has taken, and refuses the rest',
    async run({ log }) {
      const sent = sendMany(log, 300)
      const closing = log.close()
      const late = sendMany(log, 20)
      const results = await soon(sent, 'appends before close')
      assert.ok(results.every(Boolean), 'an append that was taken before close was refused')
      assert.deepEqual(new Set(await soon(late, 'appends after close')), new Set([false]))
      await soon(closing, 'close')
    },
  },
  {
    name: 'after close during appends, what was acknowledged is there, what was refused is not, and nothing by half',
    needs: ['restart'],
    async run({ log, restart }) {
      const before = sendMany(log, 200)
      // Somewhere in the middle of the groups.
      await log.append({ streams: [{ stream: 'b', events: numbered(1) }] })
      const closing = log.close()
      const results = [...(await soon(before, 'appends'))]
      await soon(closing, 'close')
      const after = await restart()
      const sizes = new Map<string, number>()
      for await (const { commit } of after.read({ category: 'a' }))
        sizes.set(commit, (sizes.get(commit) ?? 0) + 1)
      for (const [number, ok] of results.entries())
        assert.equal(
          sizes.get(`c${number}`) ?? 0,
          ok ? 3 : 0,
          `commit c${number} was ${ok ? 'acknowledged' : 'refused'}`,
        )
      assert.deepEqual((await collect(after.verify())).at(-1)?.ok, true)
    },
  },
  {
    name: 'a closed log refuses everything, and closes again without an error',
    async run({ log }) {
      await put(log, 'a', 2)
      await Promise.all([log.close(), log.close()])
      await log.close()
      const uses: [string, () => Promise<unknown>][] = [
        ['append', () => put(log, 'a')],
        ['a pure check', () => log.append({ checks: [{ stream: 'a', expected: 'any' }] })],
        ['read', () => collect(log.read())],
        ['follow', () => collect(log.follow())],
        ['head', () => log.head()],
        ['positionAt', () => log.positionAt(0)],
        ['revision', () => log.revision('a')],
        ['streams', () => collect(log.streams())],
        ['truncate', () => log.truncate({ stream: 'a', beforeRevision: 1 })],
        ['hold', () => log.hold('h', '0')],
        ['release', () => log.release('h')],
        ['stats', () => log.stats()],
        ['verify', () => collect(log.verify())],
      ]
      for (const [name, use] of uses) await refuses(use(), 'BANYAN_LOG_CLOSED', name)
    },
  },
  {
    name: 'a handle that is closed leaves the others as they are',
    async run({ log, another, capabilities }) {
      if (capabilities.shared === 'process') return
      const other = await another()
      await put(other, 'a', 1)
      const following = takeEvents(log.follow(), 3, 'a follower of the handle that stays')
      await other.close()
      await put(log, 'a', 2)
      assert.deepEqual((await following).map(place), ['a@0', 'a@1', 'a@2'])
    },
  },
  {
    name: 'a backup is the log at one moment, taken while it is in use',
    needs: ['backup'],
    async run({ log, openBackup }) {
      const directory = await mkdtemp(join(tmpdir(), 'banyan-backup-'))
      try {
        await sendMany(log, 200)
        const { position } = await put(log, 'b', 1, { id: 'before' })
        const during = sendMany(log, 700)
        const to = join(directory, 'backup.db')
        await log.backup(to)
        await during
        await assert.rejects(log.backup(to), 'a backup over another one')
        const copy = await openBackup(to)
        const whole = await collect(log.read())
        const copied = await collect(copy.read())
        assert.deepEqual(copied, whole.slice(0, copied.length))
        assert.ok(
          (copied.at(-1)?.position ?? '0') >= position,
          'what was acknowledged before the backup is not in it',
        )
        const last = copied.at(-1)!.commit
        const count = (events: readonly { commit: string }[]): number =>
          events.filter(({ commit }) => commit === last).length
        assert.equal(count(copied), count(whole), 'a part of a commit is in the backup')
        assert.equal((await put(copy, 'b', 1, { id: 'before' })).duplicate, true)
        assert.equal((await collect(copy.verify())).at(-1)?.ok, true)
        await put(copy, 'b', 1)
      } finally {
        await rm(directory, { recursive: true, force: true })
      }
    },
  },
  {
    name: 'refuses a backup, if its engine has tools of its own',
    needs: ['no backup'],
    async run({ log }) {
      await refuses(log.backup(join(tmpdir(), 'banyan-no-backup')), 'BANYAN_UNSUPPORTED', 'backup')
    },
  },
]
