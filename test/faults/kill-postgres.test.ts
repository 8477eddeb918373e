import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { openLog } from '../../src/events/index.js'
import type { SeenEvent } from '../../src/testing/index.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { SEED, times } from '../support/effort.js'
import { isTransactional } from './processes/workload.mjs'
import { Conductor } from './support/conductor.js'
import { judge } from './support/judge.js'
import { Choices } from './support/choices.js'

/** How many processes are killed. */
const KILLS = times(50)

/**
 * Writers and followers are killed with SIGKILL at random moments, and so are the processes of the server: the one behind
 * a connection, or all of them at once. Some commits are made in a transaction of the caller's.
 */
describe.skipIf(postgresMissing())('postgres', () => {
  test(
    `keeps every law while ${KILLS} of its processes are killed (seed ${SEED})`,
    { timeout: 300_000 + KILLS * 1000 },
    async () => {
      const directory = mkdtempSync(join(tmpdir(), 'banyan-faults-'))
      await using server = await PostgresServer.start()
      const where = await server.database()
      await server.query('CREATE TABLE effects (commit_id text)', [], where)
      using conductor = new Conductor({
        log: where,
        directory: join(directory, 'histories'),
        seed: SEED,
        kills: KILLS,
        writers: 4,
        followers: [
          [{}, { category: 'ledger' }],
          [{ tags: ['tag:3'] }, { stream: 'hot-1' }, { types: ['Type1'] }],
        ],
        lanes: 6,
        pause: 12,
      })
      const killed = await conductor.run(() => torment(server, where, conductor))
      const log = await openLog(where)
      const { verdict, history, events } = await judge(log, conductor.histories)
      await log.close()
      await expectEffects(server, where, events)
      expect(conductor.kills).toBeGreaterThanOrEqual(KILLS)
      expect(Math.min(...Object.values(killed))).toBeGreaterThan(0)
      expect(verdict.commits.acknowledged).toBeGreaterThan(KILLS)
      expect(history.attempts.filter(({ outcome }) => outcome === 'unknown').length).toBeGreaterThan(0)
      expect(history.follows.filter(({ from }) => from !== '0').length).toBeGreaterThan(KILLS / 20)
      rmSync(directory, { recursive: true })
    },
  )
})

/** Kills processes of the server until enough was killed; then it runs. */
async function torment(
  server: PostgresServer,
  where: string,
  conductor: Conductor,
): Promise<{ connections: number; backends: number; servers: number }> {
  const { over } = conductor
  const choices = new Choices(SEED + 1000)
  const killed = { connections: 0, backends: 0, servers: 0 }
  const log = await openLog(where)
  // Between two blows the writers get on, or nothing but recovery would be tried.
  const progress = log.follow({}, { from: 'end', signal: over })[Symbol.asyncIterator]()
  while (!over.aborted) {
    if ((await progress.next()).done) break
    await sleep(choices.below(600))
    const what = choices.pick(['connections', 'connections', 'backends', 'servers'] as const)
    if (what === 'servers') {
      await server.crash()
      await sleep(choices.below(200))
      await server.restart()
    } else if (!(await endOne(server, what, choices))) continue
    killed[what]++
    conductor.countKill()
  }
  await log.close()
  return killed
}

/** Ends the process of the server behind a connection: in its own way, or by SIGKILL, after which the server recovers. */
async function endOne(
  server: PostgresServer,
  how: 'connections' | 'backends',
  choices: Choices,
): Promise<boolean> {
  const others = 'pid <> pg_backend_pid() AND datname LIKE $1'
  try {
    const backends = await server.query<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity WHERE ${others} AND backend_type = 'client backend' ORDER BY pid`,
      ['test_%'],
    )
    if (backends.length === 0) return false
    const { pid } = choices.pick(backends)
    if (how === 'backends') {
      if (parentOf(pid) !== server.pid) return false
      process.kill(pid, 'SIGKILL')
    } else await server.query('SELECT pg_terminate_backend($1)', [pid])
    return true
  } catch {
    // It is recovering, or that process has ended by itself.
    return false
  }
}

/** What a transaction wrote besides its events is there exactly if they are. */
async function expectEffects(
  server: PostgresServer,
  url: string,
  events: readonly SeenEvent[],
): Promise<void> {
  const rows = await server.query<{ commit_id: string }>('SELECT commit_id FROM effects', [], url)
  const noted = rows.map((row) => row.commit_id).sort()
  const logged = [...new Set(events.map(({ commit }) => commit))].filter(isTransactional).sort()
  expect(noted).toEqual(logged)
  expect(noted.length).toBeGreaterThan(0)
}

function parentOf(pid: number): number {
  // The name of the program stands in parentheses and may hold anything.
  const [, parent] = /^.*\) \S (\d+) /s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? []
  return Number(parent)
}
