import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { openLog, openReadModels, type EventLog, type SqliteTables } from '../../src/events/index.js'
import { SEED, times } from '../support/effort.js'
import { Child } from './support/child.js'
import { Choices } from './support/choices.js'
import { torment } from './support/torment.js'

/** Processes that are killed. */
const KILLS = times(5)
const SLOTS = 3
const ACCOUNTS = 20

/** Appends until nobody is to be killed any more. */
async function append(log: EventLog, over: AbortSignal): Promise<void> {
  for (let amount = 0; !over.aborted;) {
    for (let count = 0; count < 4; count++) {
      const events = [{ type: 'Entered', data: { amount: amount++ } }]
      await log.append({ streams: [{ stream: `ledger-${amount % ACCOUNTS}`, events }] })
    }
    await sleep(5)
  }
}

it(
  `a divided projection has every event once after ${KILLS} of its processes were killed (seed ${SEED})`,
  { timeout: 300_000 + KILLS * 3000 },
  async () => {
    const directory = mkdtempSync(join(tmpdir(), 'banyan-sharded-'))
    const at = (name: string): string => `sqlite:${join(directory, name)}`
    const places = { log: at('log'), models: at('read'), coordination: at('coordination') }
    const log = await openLog(places.log)
    const over = new AbortController()
    let kills = 0
    const kill = (): boolean => {
      if (++kills >= KILLS) over.abort()
      return over.signal.aborted
    }
    const appending = append(log, over.signal)
    await Promise.all(
      Array.from({ length: SLOTS }, (_, slot) =>
        torment('sharded-projector.mjs', { ...places, worker: `w${slot}` }, new Choices(SEED + slot), kill),
      ),
    )
    await appending
    const last = new Child('sharded-projector.mjs', { ...places, worker: 'last' })
    await last.ready
    const reader = await openReadModels<SqliteTables>(places.models, log)
    const rows = await reader.query(
      'ledger',
      ({ db, table }) => db.all<object>(`SELECT * FROM ${table('entry')} ORDER BY account, place`),
      { consistency: 'strong', timeout: '2m' },
    )
    await last.finish()
    const expected = new Map<string, object[]>()
    for await (const { stream, data } of log.read({ category: 'ledger' })) {
      const entries = expected.get(stream) ?? []
      expected.set(stream, entries)
      entries.push({ account: stream, place: entries.length, amount: (data as { amount: number }).amount })
    }
    expect(rows).toEqual([...expected].sort(([a], [b]) => (a < b ? -1 : 1)).flatMap(([, entries]) => entries))
    expect(rows.length).toBeGreaterThan(KILLS)
    await reader.close()
    await log.close()
    rmSync(directory, { recursive: true })
  },
)
