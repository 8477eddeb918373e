import { describe, expect, it } from 'vitest'
import { type Cluster, MINUTE, SECOND, START, newCluster, untilAborted } from '../../../test/support/jobs.js'
import { readJob, readJobs, scheduleJobs, type JobOptions, type Scheduler } from './index.js'

describe('a scheduled job', () => {
  it('runs once at each of its times, on one of many nodes, with a token that rises', async () => {
    const cluster = newCluster()
    for (let node = 0; node < 7; node++) await cluster.node(`n${node}`, { every: '1m' })
    await cluster.runtime.clock.advance('10m')
    await cluster.runtime.clock.advance('1s')
    expect(cluster.minutes).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    const tokens = cluster.runs.map(({ run }) => run.token)
    expect(tokens).toEqual([...new Set(tokens)].sort((a, b) => a - b))
    expect(
      cluster.runs.every(({ at, run }) => at >= run.scheduledFor && at < run.scheduledFor + SECOND),
    ).toBe(true)
  })

  it('runs where clocks hang', async () => {
    const cluster = newCluster()
    await cluster.node('n', { cron: '0 3 * * *', timeZone: 'Europe/Berlin' })
    await cluster.runtime.clock.advance('2d')
    expect(cluster.runs.map(({ run }) => new Date(run.scheduledFor).toISOString())).toEqual([
      '2026-01-01T02:00:00.000Z',
      '2026-01-02T02:00:00.000Z',
    ])
  })

  it('is left to those that have less to do', async () => {
    const cluster = newCluster()
    const long: JobOptions = {
      every: '1d',
      anchor: START + MINUTE / 2,
      run: ({ signal }) => untilAborted(signal),
    }
    const ran: string[] = []
    const report = (node: string): JobOptions => ({ every: '1m', run: () => ran.push(node) })
    const schedule = async (holder: string, jobs: Record<string, JobOptions>): Promise<Scheduler> => {
      const scheduler = scheduleJobs(cluster.coordinator(), {
        holder,
        drain: 0,
        jobs: { ...jobs, report: report(holder) },
      })
      await scheduler.ready
      return scheduler
    }
    const busy = await schedule('busy', { 'long-1': long, 'long-2': long })
    await cluster.runtime.clock.advance('40s')
    const idle = await schedule('idle', {})
    await cluster.runtime.clock.advance('10m')
    expect(ran).toEqual(Array.from({ length: 10 }, () => 'idle'))
    await cluster.runtime.clock.settle(Promise.all([busy.close(), idle.close()]))
  })

  it('runs beside any number of others', async () => {
    const cluster = newCluster()
    const warnings: Error[] = []
    const warn = (warning: Error): void => void warnings.push(warning)
    process.on('warning', warn)
    const job: JobOptions = { every: '1m', run: ({ signal }) => untilAborted(signal) }
    const jobs = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`job-${index}`, job]))
    const scheduler = scheduleJobs(cluster.coordinator(), { drain: 0, concurrency: 20, jobs })
    await scheduler.ready
    await cluster.runtime.clock.advance('2m')
    expect(scheduler.running).toHaveLength(20)
    await cluster.runtime.clock.settle(scheduler.close())
    await new Promise((resolve) => setImmediate(resolve))
    process.off('warning', warn)
    expect(warnings).toEqual([])
  })

  it('starts no more runs in a process than it has room for', async () => {
    const cluster = newCluster()
    let most = 0
    let count = 0
    const scheduler: Scheduler = scheduleJobs(cluster.coordinator(), {
      concurrency: 2,
      jobs: Object.fromEntries(
        Array.from({ length: 6 }, (_, number) => [
          `job-${number}`,
          {
            every: '1h',
            run: async () => {
              count++
              most = Math.max(most, scheduler.running.length)
              await cluster.sleep(SECOND)
            },
          },
        ]),
      ),
    })
    await cluster.runtime.clock.advance('61m')
    expect({ most, count }).toEqual({ most: 2, count: 6 })
    await cluster.runtime.clock.settle(scheduler.close())
  })

  it('says what is known of it', async () => {
    const cluster = newCluster()
    const reader = cluster.coordinator()
    await cluster.node('n', { cron: '*/5 * * * *', run: () => cluster.sleep(2 * SECOND) })
    await cluster.runtime.clock.advance('5m')
    await cluster.runtime.clock.advance('1s')
    expect(await readJobs(reader)).toMatchObject([
      {
        name: 'report',
        state: 'running',
        when: '*/5 * * * * in UTC',
        running: { holder: 'n', attempt: 1 },
        next: undefined,
      },
    ])
    await cluster.runtime.clock.advance('5s')
    const [run] = (await readJob(reader, 'report')).history
    expect(run).toMatchObject({ scheduledFor: START + 5 * MINUTE, holder: 'n', outcome: 'succeeded' })
    expect(run!.ended - run!.started).toBe(2 * SECOND)
    expect(await readJobs(reader)).toMatchObject([
      { state: 'scheduled', next: START + 10 * MINUTE, last: run, counts: { started: 1, succeeded: 1 } },
    ])
    await expect(readJob(reader, 'rapport')).rejects.toMatchObject({ code: 'BANYAN_JOB_UNKNOWN' })
  })

  it('keeps its last twenty runs', async () => {
    const cluster = newCluster()
    await cluster.node('n', {})
    await cluster.runtime.clock.advance('25m')
    await cluster.runtime.clock.advance('1s')
    const { history, counts } = await readJob(cluster.coordinator(), 'report')
    expect(history.map(({ scheduledFor }) => (scheduledFor - START) / MINUTE)).toEqual(
      Array.from({ length: 20 }, (_, index) => 25 - index),
    )
    expect(counts.succeeded).toBe(25)
  })

  it('starts later by chance, the same on all nodes, and before its next time', async () => {
    const cluster = newCluster()
    for (const node of ['a', 'b', 'c']) await cluster.node(node, { jitter: '10m' })
    await cluster.runtime.clock.advance('30m')
    const late = cluster.runs.map(({ at, run }) => at - run.scheduledFor)
    expect(cluster.minutes).toEqual(Array.from({ length: cluster.runs.length }, (_, index) => index + 1))
    expect(cluster.runs.length).toBeGreaterThanOrEqual(29)
    expect(Math.max(...late)).toBeLessThan(MINUTE + SECOND)
    expect(Math.max(...late)).toBeGreaterThan(MINUTE / 2)
    expect(new Set(late.map((ms) => Math.floor(ms / SECOND))).size).toBeGreaterThan(10)
  })
})

describe('times that nobody could start', () => {
  async function away(job: Partial<JobOptions>, ms = 10 * MINUTE): Promise<Cluster> {
    const cluster = newCluster()
    const first = await cluster.node('first', job)
    await cluster.runtime.clock.advance('1m')
    await cluster.runtime.clock.advance('1s')
    await cluster.runtime.clock.settle(first.close())
    await cluster.runtime.clock.advance(ms)
    await cluster.node('second', job)
    await cluster.runtime.clock.advance('62s')
    return cluster
  }

  it('are one run, for the last of them', async () => {
    const cluster = await away({})
    expect(cluster.minutes).toEqual([1, 11, 12])
    expect((await readJob(cluster.coordinator(), 'report')).counts.missed).toBe(9)
  })

  it('are all run, oldest first, up to a limit', async () => {
    expect((await away({ missed: 'all' })).minutes).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
    const cluster = await away({ missed: 'all', limit: 3 })
    expect(cluster.minutes).toEqual([1, 9, 10, 11, 12])
    expect((await readJob(cluster.coordinator(), 'report')).counts.missed).toBe(7)
  })

  it('are passed over if they are too late', async () => {
    expect((await away({ missed: 'skip', startWithin: '1s' }, 10.5 * MINUTE)).minutes).toEqual([1, 12])
    expect((await away({ missed: 'all', startWithin: '150s' })).minutes).toEqual([1, 9, 10, 11, 12])
  })

  it('are not there for a job that is new', async () => {
    const cluster = newCluster()
    await cluster.runtime.clock.advance('10m')
    await cluster.node('n', {})
    await cluster.runtime.clock.advance('61s')
    expect(cluster.minutes).toEqual([11])
  })
})

describe('times that come while a run is not over', () => {
  async function slow(job: Partial<JobOptions>): Promise<Cluster> {
    const cluster = newCluster()
    let count = 0
    const run = (): Promise<void> => cluster.sleep(++count === 1 ? 3.5 * MINUTE : SECOND)
    for (const node of ['a', 'b']) await cluster.node(node, { ...job, run })
    await cluster.runtime.clock.advance('6m')
    await cluster.runtime.clock.advance('5s')
    return cluster
  }

  it('are passed over', async () => {
    const cluster = await slow({})
    expect(cluster.minutes).toEqual([1, 5, 6])
    expect((await readJob(cluster.coordinator(), 'report')).counts.overlapped).toBe(3)
  })

  it('are one run when it is over', async () => {
    expect((await slow({ overlap: 'last' })).minutes).toEqual([1, 4, 5, 6])
  })

  it('are all run when it is over', async () => {
    expect((await slow({ overlap: 'all' })).minutes).toEqual([1, 2, 3, 4, 5, 6])
    expect((await slow({ missed: 'all' })).minutes).toEqual([1, 2, 3, 4, 5, 6])
  })

  it.each([
    ['all', { overlap: 'all' }, [1, 2, 3, 4, 15, 16]],
    ['the last of them', { overlap: 'last' }, [1, 15, 16]],
    [
      'those that are not too late',
      { overlap: 'all', missed: 'skip', startWithin: '12.5m' },
      [1, 3, 4, 15, 16],
    ],
  ] as const)('wait while nobody is there, and are not missed for that: %s', async (_, job, minutes) => {
    const cluster = newCluster()
    const run = (): Promise<void> => cluster.sleep(cluster.runs.length === 1 ? 3.5 * MINUTE : SECOND)
    const first = await cluster.node('first', { ...job, run }, { drain: 5 * MINUTE })
    await cluster.runtime.clock.advance('61s')
    await cluster.runtime.clock.settle(first.close())
    await cluster.runtime.clock.advance(15.1 * MINUTE - cluster.runtime.clock.now())
    await cluster.node('second', { ...job, run })
    await cluster.runtime.clock.advance('61s')
    expect(cluster.minutes).toEqual(minutes)
  })
})
