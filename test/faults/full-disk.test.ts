import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openLog, type EventLog } from '../../src/events/index.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { SEED } from '../support/effort.js'
import { Child } from './support/child.js'
import { faultyDisk, faultyDiskMissing } from './support/disk.js'
import { judge } from './support/judge.js'
import { smallDiskMissing, SmallDisk } from './support/tmpfs.js'

const noSmallDisk = smallDiskMissing()

/** Writers go on trying while there is no space, and followers go on following. */
async function survive(options: {
  log: string
  env?: Record<string, string>
  /** Takes the space away. */
  fill: () => void
  /** Gives it back. */
  free: () => void
}): Promise<void> {
  const { log: where, env, fill, free } = options
  const directory = mkdtempSync(join(tmpdir(), 'banyan-full-'))
  const histories = ['w0', 'w1', 'f0'].map((name) => join(directory, `${name}.ndjson`))
  const [first, second, third] = histories
  const common = { log: where, seed: SEED, lanes: 4, pause: 2 }
  const writers = [
    new Child('writer.mjs', { ...common, name: 'w0', history: first }, env),
    new Child('writer.mjs', { ...common, name: 'w1', history: second }, env),
  ]
  const selectors = [{}, { category: 'ledger' }]
  const follower = new Child('follower.mjs', { ...common, name: 'f0', directory, history: third, selectors })
  try {
    const before = await openLog(where)
    await until(before, 20)
    await before.close()
    fill()
    await Promise.all(writers.map((writer) => writer.said('BANYAN_LOG_FULL')))
    free()
    await Promise.all(writers.map((writer) => writer.said('recovered')))
    await Promise.all(writers.map((writer) => writer.finish()))
    await follower.finish()

    const log = await openLog(where)
    const { history } = await judge(log, histories)
    await log.close()
    expect(history.attempts.some(({ outcome }) => outcome === 'failed')).toBe(true)
  } finally {
    for (const child of [...writers, follower]) if (!child.exit) child.signal('SIGKILL')
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Waits until the log has so many events. */
async function until(log: EventLog, count: number): Promise<void> {
  let events = 0
  for await (const batch of log.follow()) if ((events += batch.events.length) >= count) return
}

describe('a full disk', () => {
  test.skipIf(noSmallDisk)(`sqlite on a small disk (seed ${SEED})`, { timeout: 300_000 }, async () => {
    using disk = new SmallDisk('3m')
    await survive({
      log: `sqlite:${join(disk.path, 'log')}`,
      fill: () => undefined,
      free: () => disk.resize('500m'),
    })
  })

  test.skipIf(faultyDiskMissing())(
    `sqlite on a disk that says so (seed ${SEED})`,
    { timeout: 300_000 },
    async () => {
      const directory = mkdtempSync(join(tmpdir(), 'banyan-full-'))
      const full = join(directory, 'full')
      mkdirSync(join(directory, 'log'))
      await survive({
        log: `sqlite:${join(directory, 'log')}`,
        env: faultyDisk({ files: join(directory, 'log'), full }),
        fill: () => writeFileSync(full, ''),
        free: () => rmSync(full),
      })
      rmSync(directory, { recursive: true })
    },
  )

  test.skipIf(noSmallDisk || postgresMissing())(
    `postgres with its tables on a small disk (seed ${SEED})`,
    { timeout: 300_000 },
    async () => {
      using disk = new SmallDisk('10m')
      await using server = await PostgresServer.start()
      const place = join(disk.path, 'tables')
      mkdirSync(place)
      // The server is not root, also where we are.
      if (process.getuid?.() === 0) execFileSync('chown', ['postgres', place])
      await server.query(`CREATE TABLESPACE small LOCATION '${place}'`)
      const log = await server.database('TABLESPACE small')
      await server.query('CREATE TABLE effects (id text)', [], log)
      await survive({ log, fill: () => undefined, free: () => disk.resize('500m') })
    },
  )
})
