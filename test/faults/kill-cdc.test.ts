import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { describe, expect, test } from 'vitest'
import { captureChanges, changeOf, openLog, type EventLog } from '../../src/events/index.js'
import { foldTopic, tableRows } from '../support/capture.js'
import { SEED, times } from '../support/effort.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { Choices } from './support/choices.js'

/** How many processes are killed. */
const KILLS = times(5)
/** So many of them at first in the middle of snapshots. */
const IN_SNAPSHOTS = 3
const ROWS = 1000

/** While rows are written, the process that captures them is killed again and again, and the server too. */
describe.skipIf(postgresMissing())('a capture', () => {
  test(
    `loses nothing and repeats nothing while it is killed ${KILLS} times (seed ${SEED})`,
    { timeout: 60_000 + KILLS * 5000 },
    async () => {
      const directory = mkdtempSync(join(tmpdir(), 'banyan-cdc-'))
      await using server = await PostgresServer.start()
      const from = server.url()
      const where = `sqlite:${directory}`
      await server.query(`CREATE TABLE accounts (id int PRIMARY KEY, n int, note text)`)
      await server.query(
        `INSERT INTO accounts SELECT i, 0, repeat('x', 50) FROM generate_series(1, ${ROWS}) i`,
      )
      const choices = new Choices(SEED)
      const over = new AbortController()
      const writing = [1, 2].map((seed) => write(server, new Choices(SEED + seed), over.signal))
      for (let kill = 0; kill < KILLS; kill++) {
        const child = spawn(
          process.execPath,
          [join(import.meta.dirname, 'processes/capturer.mjs'), JSON.stringify({ log: where, from })],
          { stdio: ['pipe', 'pipe', 'inherit'] },
        )
        const isEarly = kill < IN_SNAPSHOTS
        await said(child.stdout, isEarly ? 'begun' : 'caught up')
        await sleep(choices.below(isEarly ? 100 : 300))
        child.kill('SIGKILL')
        await once(child, 'exit')
        // The server forgets what it had not written down of the slot, and tells it again.
        if (kill === Math.floor(KILLS / 2)) {
          await server.crash()
          await server.restart()
        }
      }
      over.abort()
      const written = await Promise.all(writing)
      await using log = await openLog(where)
      await using capture = await captureChanges({
        from,
        name: 'killed',
        log,
        tables: { accounts: { topic: 'account' } },
      })
      await capture.caughtUp()
      const db = await server.connect()
      expect(await foldTopic(log, 'account')).toEqual(await tableRows(db, 'accounts', 'account'))
      expect(written[0]! + written[1]!).toBeGreaterThan(KILLS)
      await expectEveryStep(log)
      // A snapshot is begun anew; a slot is gone on with.
      expect(capture.status().generation).toBeLessThanOrEqual(IN_SNAPSHOTS + 1)
      await db.end()
      await capture.close()
      await log.close()
      rmSync(directory, { recursive: true })
    },
  )
})

async function said(output: NodeJS.ReadableStream, word: string): Promise<void> {
  let text = ''
  while (!text.includes(word)) text += String((await once(output, 'data'))[0])
}

/** Writes until it is told to stop, whatever happens to the server; each update of a row counts it up by one. */
async function write(server: PostgresServer, choices: Choices, over: AbortSignal): Promise<number> {
  let written = 0
  const goesOn = (): boolean => !over.aborted
  while (goesOn()) {
    let db: pg.Client | undefined
    try {
      db = await server.connect()
      while (goesOn()) {
        const id = 1 + choices.below(ROWS)
        const pick = choices.below(10)
        if (pick < 6) await db.query('UPDATE accounts SET n = n + 1 WHERE id = $1', [id])
        else if (pick < 8)
          await db.query('UPDATE accounts SET n = n + 1 WHERE id BETWEEN $1 AND $1 + 120', [id])
        else if (pick < 9) await db.query('DELETE FROM accounts WHERE id = $1', [id])
        else
          await db.query(
            "INSERT INTO accounts VALUES ($1, 0, 'new') ON CONFLICT (id) DO UPDATE SET n = accounts.n + 1",
            [id],
          )
        written++
        await sleep(2)
      }
    } catch {
      // The server is being killed.
      await sleep(20)
    } finally {
      await db?.end().catch(() => undefined)
    }
  }
  return written
}

/** Between two snapshots each row has every number once, in order. */
async function expectEveryStep(log: EventLog): Promise<void> {
  const last = new Map<string, { n: number; generation: number }>()
  for await (const event of log.read({ category: 'account' })) {
    const { operation, generation } = changeOf(event)!
    const before = last.get(event.stream)
    const { n = -1 } = event.data as { n?: number }
    if (operation === 'delete') last.delete(event.stream)
    else last.set(event.stream, { n, generation })
    if (operation === 'update' && before?.generation === generation)
      expect(n, `${event.stream} revision ${event.revision}`).toBe(before.n + 1)
    if (operation === 'insert' && before?.generation === generation)
      expect.fail(`${event.stream} is inserted twice, revision ${event.revision}`)
  }
}
