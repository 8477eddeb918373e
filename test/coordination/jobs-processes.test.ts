import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { openCoordinator, readJob, readJobs, type Coordinator } from '../../src/coordination/index.js'
import { Child } from '../faults/support/child.js'
import { times } from '../support/effort.js'

const root = mkdtempSync(join(tmpdir(), 'banyan-jobs-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const PROCESSES = 3

/** What a process has printed of a run. */
interface Line {
  readonly what: 'begun' | 'done'
  readonly job: 'once' | 'again'
  readonly scheduledFor: number
  readonly attempt: number
  readonly token: number
}

function linesOf(child: Child): Line[] {
  const lines = child.stdout.split('\n').filter((line) => line.startsWith('{'))
  return lines.map((line) => JSON.parse(line) as Line)
}

test('whoever is killed in the middle of a run, each time is started at most once, or until it was done', async () => {
  const where = `sqlite:${root}`
  const all: Child[] = []
  const start = (): Child => {
    const child = new Child('job-runner.mjs', { where, name: `p${all.length}`, ttl: 600, takes: 300 })
    all.push(child)
    return child
  }
  const running = Array.from({ length: PROCESSES }, start)
  await Promise.all(running.map(({ ready }) => ready))

  for (let kills = times(4); kills > 0; kills--) {
    // Whoever begins something next.
    const victim = await Promise.race(
      running.map(async (child) => {
        await child.lines(child.stdout.split('\n').length)
        return child
      }),
    )
    victim.signal('SIGKILL')
    await victim.exited
    running[running.indexOf(victim)] = start()
  }
  const coordinator = await openCoordinator(where)
  await caughtUp(coordinator, Date.now())
  await Promise.all(running.map((child) => child.finish()))

  const lines = all.flatMap(linesOf)
  let lost = 0
  for (const job of ['once', 'again'] as const) {
    const begun = lines
      .filter((line) => line.job === job && line.what === 'begun')
      .sort((a, b) => a.token - b.token)
    expect(new Set(begun.map(({ token }) => token)).size).toBe(begun.length)
    for (const [index, { scheduledFor, attempt }] of begun.entries()) {
      const before = begun[index - 1]
      if (!before) continue
      expect(scheduledFor).toBeGreaterThanOrEqual(before.scheduledFor)
      if (scheduledFor === before.scheduledFor) expect(attempt).toBeGreaterThan(before.attempt)
    }
    if (job === 'once') expect(begun.every(({ attempt }) => attempt === 1)).toBe(true)
    const done = lines
      .filter((line) => line.job === job && line.what === 'done')
      .map(({ scheduledFor }) => scheduledFor)
    const expected = []
    for (let time = begun[0]!.scheduledFor; time <= Math.max(...done); time += 1000) expected.push(time)
    if (job === 'again') expect([...new Set(done)].sort()).toEqual(expected)
    const { counts } = await readJob(coordinator, job)
    expect(counts.started).toBeGreaterThanOrEqual(begun.length)
    lost += counts.lost
    expect(counts.missed + counts.overlapped).toBe(0)
  }
  expect(lost).toBeGreaterThan(0)
  await coordinator.close()
})

/** Waits until all jobs have run for a time behind `since`, and nothing is left of those before. */
async function caughtUp(coordinator: Coordinator, since: number): Promise<void> {
  const watching = new AbortController()
  for await (const { changes } of coordinator.watch('banyan/jobs/', { signal: watching.signal })) {
    if (changes.length === 0) continue
    const jobs = await readJobs(coordinator)
    if (
      jobs.every(({ last, waiting, retry }) => last && last.scheduledFor > since && waiting === 0 && !retry)
    )
      watching.abort()
  }
}
