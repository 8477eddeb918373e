import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import {
  openLog,
  openReadModels,
  type EventLog,
  type PostgresTables,
  type SqliteTables,
} from '../../src/events/index.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { SEED, times } from '../support/effort.js'
import { Child } from './support/child.js'
import { Choices } from './support/choices.js'
import { torment } from './support/torment.js'

/** Processes that are killed for each engine. */
const KILLS = times(8)
const SLOTS = 3

const missing = postgresMissing()
const server = PostgresServer.ofSuite()

/** Appends until nobody is to be killed any more; returns how many. */
async function append(log: EventLog, over: AbortSignal): Promise<number> {
  let amount = 0
  while (!over.aborted) {
    const events = Array.from({ length: 8 }, () => ({ type: 'Entered', data: { amount: amount++ } }))
    await log.append({ streams: [{ stream: `ledger-${amount % 5}`, events }] })
    await sleep(5)
  }
  return amount
}

describe.each(['sqlite', 'postgres'].filter((name) => name === 'sqlite' || !missing))(
  'read models in %s',
  (engine) => {
    it(
      `have every event once after ${KILLS} of their processes were killed (seed ${SEED})`,
      { timeout: 300_000 + KILLS * 3000 },
      async () => {
        const directory = mkdtempSync(join(tmpdir(), 'banyan-projectors-'))
        const where = `sqlite:${join(directory, 'log')}`
        const models = engine === 'sqlite' ? `sqlite:${join(directory, 'read')}` : await server.database()
        const log = await openLog(where)
        const over = new AbortController()
        let kills = 0
        const kill = (): boolean => {
          if (++kills >= KILLS) over.abort()
          return over.signal.aborted
        }
        const appending = append(log, over.signal)
        await Promise.all(
          Array.from({ length: SLOTS }, (_, slot) =>
            torment('projector.mjs', { log: where, models }, new Choices(SEED + slot), kill),
          ),
        )
        const appended = await appending
        const last = new Child('projector.mjs', { log: where, models })
        await last.ready
        const reader = await openReadModels<SqliteTables & PostgresTables>(models, log)
        const rows = await reader.query(
          'ledger',
          async ({ db, table }) => {
            const sql = `SELECT place, amount FROM ${table('entry')} ORDER BY place`
            return engine === 'sqlite' ? db.all(sql) : (await db.query(sql)).rows
          },
          { consistency: 'strong', timeout: '5m' },
        )
        await last.finish()
        const expected = []
        for await (const { data } of log.read({ category: 'ledger' }))
          expected.push({ place: expected.length, amount: (data as { amount: number }).amount })
        expect(expected.length).toBe(appended)
        expect(rows).toEqual(expected)
        await reader.close()
        await log.close()
        rmSync(directory, { recursive: true })
      },
    )

    it('are taken over from a process that was killed, however long one may stand still', async () => {
      const directory = mkdtempSync(join(tmpdir(), 'banyan-projectors-'))
      const where = `sqlite:${join(directory, 'log')}`
      const models = engine === 'sqlite' ? `sqlite:${join(directory, 'read')}` : await server.database()
      const log = await openLog(where)
      const append = (amount: number): Promise<unknown> =>
        log.append({ streams: [{ stream: 'ledger-1', events: [{ type: 'Entered', data: { amount } }] }] })
      await append(0)

      const argument = { log: where, models, takeover: 3_600_000 }
      const killed = new Child('projector.mjs', argument)
      await killed.lines(2)
      const reader = await openReadModels<SqliteTables & PostgresTables>(models, log)
      const count = (): Promise<number> =>
        reader.query(
          'ledger',
          async ({ db, table }) => {
            const sql = `SELECT count(*) AS count FROM ${table('entry')}`
            const [row] = engine === 'sqlite' ? db.all(sql) : (await db.query(sql)).rows
            return Number((row as { count: unknown }).count)
          },
          { consistency: 'strong', timeout: '2m' },
        )
      expect(await count()).toBe(1)
      killed.signal('SIGKILL')
      await killed.exited
      expect(await reader.list()).toMatchObject([{ running: false }])

      const successor = new Child('projector.mjs', argument)
      await append(16)
      expect(await count()).toBe(2)
      const standby = new Child('projector.mjs', argument)
      await standby.ready
      successor.signal('SIGKILL')
      await successor.exited
      await append(32)
      expect(await count()).toBe(3)
      await standby.finish()
      await reader.close()
      await log.close()
      rmSync(directory, { recursive: true })
    })
  },
)
