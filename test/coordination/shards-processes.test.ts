import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import SQLite from 'better-sqlite3'
import { afterAll, expect, test } from 'vitest'
import { openCoordinator, readShards } from '../../src/coordination/index.js'
import { Child } from '../faults/support/child.js'
import { Choices } from '../faults/support/choices.js'
import { SEED, times } from '../support/effort.js'
import { checkAlone, type Look } from '../support/looks.js'

const root = mkdtempSync(join(tmpdir(), 'banyan-shards-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const WORKERS = 3
const BUCKETS = 6
const TTL = 1000

/** What a process has printed. */
type Said =
  | (Look & { readonly bucket: string })
  | { readonly bucket: string; readonly token: number; readonly stopped: true }

function saidBy(child: Child): Said[] {
  const lines = child.stdout.split('\n').filter((line) => line.startsWith('{') && line.endsWith('}'))
  return lines.map((line) => JSON.parse(line) as Said)
}

test(`workers that are killed or stopped lose their buckets to others, no two have one at the same moment, and what they write follows in the order of epochs (seed ${SEED})`, async () => {
  const [where, table] = [`sqlite:${join(root, 'coordinator')}`, join(root, 'work.db')]
  const database = new SQLite(table)
  database.exec('CREATE TABLE work (id INTEGER PRIMARY KEY, bucket TEXT, epoch INTEGER, worker TEXT)')
  const all: Child[] = []
  const start = (): Child => {
    const child = new Child('shard-worker.mjs', {
      where,
      table,
      name: `w${all.length}`,
      ttl: TTL,
      buckets: BUCKETS,
    })
    all.push(child)
    return child
  }
  const running = (): Child[] => all.filter(({ exit }) => !exit)
  const coordinator = await openCoordinator(where)
  /** Waits until these, and nobody else, have all buckets. */
  const shared = async (among: readonly Child[]): Promise<void> => {
    const names = new Set(among.map((child) => `w${all.indexOf(child)}`))
    const changes = coordinator.watch('banyan/shards/orders/')[Symbol.asyncIterator]()
    for (let isShared = false; !isShared;) {
      await changes.next()
      const [map] = await readShards(coordinator)
      isShared = map?.owners.every(({ worker }) => worker !== undefined && names.has(worker)) ?? false
    }
    await changes.return?.()
  }
  const choices = new Choices(SEED)
  for (let count = WORKERS; count > 0; count--) start()
  await Promise.all(all.map(({ ready }) => ready))
  await shared(all)

  for (let rounds = times(1); rounds > 0; rounds--)
    for (const blow of choices.shuffled(['kill', 'stop', 'end'] as const)) {
      const victim = choices.pick(running())
      const others = running().filter((child) => child !== victim)
      if (blow === 'end') await victim.finish()
      else if (blow === 'kill') victim.signal('SIGKILL')
      else {
        victim.tell('stop')
        await victim.until(() => saidBy(victim).some((said) => 'stopped' in said))
      }
      await shared(others)
      if (blow === 'stop') {
        const looks = saidBy(victim).length
        victim.signal('SIGCONT')
        // It has its part again, of those that are there now.
        await victim.until(() => saidBy(victim).length > looks + 10)
      } else {
        await victim.exited
        await start().ready
      }
    }
  await shared(running())
  await Promise.all(running().map((child) => child.finish()))
  await coordinator.close()

  const said = all.flatMap(saidBy)
  const rows = database.prepare('SELECT bucket, epoch FROM work ORDER BY id').all() as {
    bucket: string
    epoch: number
  }[]
  database.close()
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    const looks = said.filter((each): each is Look & { bucket: string } => 'before' in each)
    checkAlone(looks.filter((look) => look.bucket === String(bucket)))
    const epochs = rows.filter((row) => row.bucket === String(bucket)).map(({ epoch }) => epoch)
    expect(epochs.length).toBeGreaterThan(0)
    expect(epochs).toEqual([...epochs].sort((a, b) => a - b))
  }
})
