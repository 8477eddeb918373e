import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { openLog, openReadModels, type PostgresTables } from '../../src/events/index.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { SEED, times } from '../support/effort.js'
import { Choices } from './support/choices.js'
import { torment } from './support/torment.js'

/** Processes that are killed. */
const KILLS = times(10)
const SLOTS = 3

const missing = postgresMissing()
const server = PostgresServer.ofSuite()

describe.skipIf(missing)('inline projections', () => {
  it(
    `have what the log has after ${KILLS} of those who append were killed (seed ${SEED})`,
    { timeout: 300_000 + KILLS * 3000 },
    async () => {
      const url = (await server.database()) as `postgres:${string}`
      const log = await openLog(url)
      const over = new AbortController()
      let kills = 0
      const kill = (): boolean => {
        if (++kills >= KILLS) over.abort()
        return over.signal.aborted
      }
      const acknowledged: string[] = []
      const others = (async () => {
        for (let amount = 0; !over.signal.aborted; amount++) {
          const events = [{ type: 'Entered', data: { amount } }]
          await log.append({ streams: [{ stream: `ledger-${amount % 5}`, events }] })
          await sleep(5)
        }
      })()
      await Promise.all(
        Array.from({ length: SLOTS }, (_, slot) =>
          torment('inline.mjs', { url, slot: slot + 1 }, new Choices(SEED + slot), kill, ({ stdout }) => {
            // The last line may have been cut.
            acknowledged.push(...(stdout.match(/^\d+(?=\n)/gm) ?? []))
          }),
        ),
      )
      await others

      const models = await openReadModels<PostgresTables>(url, log)
      const { entries } = (await import('./processes/entries.mjs')) as {
        entries: Parameters<typeof models.run>[0]
      }
      await models.run(entries).caughtUp()
      const { rows } = await models.query('ledger', ({ db, table }) =>
        db.query<{ ledger: string; amounts: number[] }>(`SELECT * FROM ${table('entry')} ORDER BY ledger`),
      )
      const expected: Record<string, number[]> = {}
      const inLog = new Set<string>()
      for await (const { stream, data } of log.read({ category: 'ledger' })) {
        const { amount } = data as { amount: number }
        ;(expected[stream] ??= []).push(amount)
        inLog.add(String(amount))
      }
      expect(Object.fromEntries(rows.map(({ ledger, amounts }) => [ledger, amounts]))).toEqual(expected)
      expect(acknowledged.filter((amount) => !inLog.has(amount))).toEqual([])
      expect(acknowledged.length).toBeGreaterThan(KILLS)
      await models.close()
      await log.close()
    },
  )
})
