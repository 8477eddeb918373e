import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import SQLite from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { openLog, openOutbox } from '../../src/events/index.js'
import { SEED, times } from '../support/effort.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { Child } from './support/child.js'
import { Choices } from './support/choices.js'
import { torment } from './support/torment.js'

/** Processes that are killed for each engine: writers and relays. */
const KILLS = times(8)
const KEYS = ['k0', 'k1', 'k2', 'k3', 'k4', 'k5']

const missing = postgresMissing()
const server = PostgresServer.ofSuite()

describe.each(['sqlite', 'postgres'].filter((name) => name === 'sqlite' || !missing))(
  'an outbox in %s',
  (engine) => {
    it(
      `has every message in the log once, in the order of its key, after ${KILLS} of its processes were killed (seed ${SEED})`,
      { timeout: 300_000 + KILLS * 3000 },
      async () => {
        const directory = mkdtempSync(join(tmpdir(), 'banyan-outbox-'))
        // Of each engine one; the other one is where the log is.
        const application =
          engine === 'sqlite' ? `sqlite:${join(directory, 'app.db')}` : await server.database()
        const where =
          engine === 'sqlite' && !missing ? await server.database() : `sqlite:${join(directory, 'log')}`
        await makeCounters(application)
        // Whoever starts first makes the tables; killed in the middle of that it leaves none.
        let kills = 0
        const kill = (): boolean => ++kills >= KILLS
        const place = { application, log: where }
        await Promise.all([
          ...[0, 1].map((writer) =>
            torment(
              'outbox-writer.mjs',
              { ...place, writer, seed: SEED + writer },
              new Choices(SEED + writer),
              kill,
            ),
          ),
          ...[2, 3].map((relay) => torment('outbox-relay.mjs', place, new Choices(SEED + relay), kill)),
        ])
        const last = new Child('outbox-relay.mjs', place)
        await last.ready
        await using outbox = await openOutbox(application)
        for (;;) {
          const { waiting, parked } = await outbox.status()
          expect(parked).toEqual([])
          if (waiting.count === 0) break
          await new Promise((resolve) => setTimeout(resolve, 5))
        }
        await last.finish()
        const committed = await countersOf(application)
        const log = await openLog(where)
        const relayed = Object.fromEntries(KEYS.map((key) => [key, [] as number[]]))
        for await (const { stream, data } of log.read({ category: 'count' }))
          relayed[stream.slice('count-'.length)]!.push((data as { number: number }).number)
        // Each number was drawn in the transaction that has published it: those of rolled back ones were drawn again.
        for (const key of KEYS)
          expect(relayed[key]).toEqual(Array.from({ length: committed[key]! }, (_, index) => index + 1))
        expect(Object.values(committed).reduce((sum, count) => sum + count)).toBeGreaterThan(KILLS)
        await log.close()
        rmSync(directory, { recursive: true })
      },
    )
  },
)

async function makeCounters(application: string): Promise<void> {
  const table = 'CREATE TABLE counter (key text PRIMARY KEY, last integer NOT NULL)'
  const rows = `INSERT INTO counter VALUES ${KEYS.map((key) => `('${key}', 0)`).join(', ')}`
  if (!application.startsWith('sqlite:')) {
    await server.query(table, [], application)
    await server.query(rows, [], application)
    return
  }
  const database = new SQLite(application.slice('sqlite:'.length))
  database.pragma('journal_mode = WAL')
  database.exec(`${table}; ${rows}`)
  database.close()
}

async function countersOf(application: string): Promise<Record<string, number>> {
  const select = 'SELECT key, last FROM counter'
  let rows
  if (application.startsWith('sqlite:')) {
    const database = new SQLite(application.slice('sqlite:'.length))
    rows = database.prepare<[], { key: string; last: number }>(select).all()
    database.close()
  } else rows = await server.query<{ key: string; last: number }>(select, [], application)
  return Object.fromEntries(rows.map(({ key, last }) => [key, last]))
}
