import { describe, expect, it } from 'vitest'
import { MINUTE, newCluster } from '../../../test/support/jobs.js'
import { pauseJob, readJobs, resumeJob, scheduleJobs, type JobOptions } from './index.js'

describe('a plan', () => {
  it('that is brought later takes the place of the one before, on all nodes', async () => {
    const cluster = newCluster()
    await cluster.node('old', { every: '1m' })
    await cluster.runtime.clock.advance('61s')
    await cluster.node('new', { cron: '*/10 * * * *' })
    await cluster.runtime.clock.advance('20m')
    expect(cluster.minutes).toEqual([1, 10, 20])
    expect(cluster.logged).toContain(
      'warn: job report: runs */10 * * * * in UTC from now on, instead of every 1m, which old has brought',
    )
  })

  it('of a lower version does not', async () => {
    const cluster = newCluster()
    await cluster.node('new', { every: '5m', version: 2 })
    await cluster.node('old', { every: '1m', version: 1 })
    await cluster.runtime.clock.advance('301s')
    expect(cluster.minutes).toEqual([5])
    expect(cluster.logged).toContain('warn: job report: runs every 5m, as version 2 of its plan says')
  })

  it('that changes drops nothing that was due before', async () => {
    const cluster = newCluster()
    const old = await cluster.node('old', { every: '1h' })
    await cluster.runtime.clock.settle(old.close())
    await cluster.runtime.clock.advance('61m')
    await cluster.node('new', { every: '30m' })
    await cluster.runtime.clock.advance('30m')
    expect(cluster.minutes).toEqual([60, 90])
  })

  it('that changes drops no time whose run was to start a little later', async () => {
    const cluster = newCluster()
    await cluster.node('old', { every: '1h', jitter: '30m' })
    await cluster.runtime.clock.advance('121m')
    expect(cluster.minutes).toEqual([60])
    await cluster.node('new', { every: '1d' })
    await cluster.runtime.clock.advance('1h')
    expect(cluster.minutes).toEqual([60, 120])
  })

  it('that changes makes up for nothing that came while its job was paused, also during a run', async () => {
    const cluster = newCluster()
    const job = { overlap: 'all', run: () => cluster.sleep(5.5 * MINUTE) } as const
    await cluster.node('old', { every: '1m', ...job })
    await cluster.runtime.clock.advance('61s')
    await pauseJob(cluster.coordinator(), 'report')
    await cluster.runtime.clock.advance('3m')
    await cluster.node('new', { every: '1h', ...job })
    await resumeJob(cluster.coordinator(), 'report')
    await cluster.runtime.clock.advance('30m')
    expect(cluster.minutes).toEqual([1])
  })

  it.each([
    [{}, 'nothing says when it runs'],
    [{ cron: '@daily', every: '1d' }, 'one of the two'],
    [{ every: '1d', timeZone: 'UTC' }, 'timeZone is for cron'],
    [{ cron: '@daily', timeZone: 'Europe/Berln' }, 'did you mean Europe/Berlin?'],
    [{ cron: '0 0 0 * * *' }, 'six fields'],
    [{ every: '0.5s' }, 'every must be'],
    [{ every: '1d', anchor: 'Monday' }, 'anchor must be a date'],
    [{ every: '1d', anchor: 'Jan 5 2026' }, 'anchor must be a date'],
    [{ every: '1d', startWithin: 0 }, 'startWithin must be'],
    [{ every: '1d', missed: 'all', overlap: 'last' }, 'would drop what waits'],
    [{ every: '1d', missed: 'skip', overlap: 'all' }, 'say with startWithin'],
    [{ every: '1d', missed: 'skip', overlap: 'last' }, 'say with startWithin'],
    [{ every: '1d', overlaps: 'skip' }, 'overlaps is not an option, did you mean `overlap`?'],
    [{ every: '1d', run: 'now' }, 'run must be a function'],
  ])('is refused if it makes no sense: %j', (job, problem) => {
    const coordinator = newCluster().coordinator()
    const jobs = { report: { run: () => undefined, ...job } as JobOptions }
    expect(() => scheduleJobs(coordinator, { jobs })).toThrow(
      expect.objectContaining({
        code: 'BANYAN_INVALID_OPTIONS',
        message: expect.stringContaining(problem) as string,
      }),
    )
  })

  it.each([
    '2026-01-05T06:00:00Z',
    '2026-01-05T06:00:00',
    '2026-01-05 06:00',
    '2026-01-05T08:00+02:00',
    Date.UTC(2026, 0, 5, 6),
  ])('has the same times wherever the clock of a machine hangs: from %s on', async (anchor) => {
    const { TZ } = process.env
    process.env['TZ'] = 'America/New_York'
    try {
      const cluster = newCluster()
      await cluster.node('n', { every: '1d', anchor })
      expect((await readJobs(cluster.coordinator()))[0]!.when).toBe(
        'every 1d from 2026-01-05T06:00:00.000Z on',
      )
    } finally {
      if (TZ === undefined) delete process.env['TZ']
      else process.env['TZ'] = TZ
    }
  })

  it('is refused if the name of its job cannot be part of a key', () => {
    const jobs = { ['x'.repeat(500)]: { every: '1d', run: () => undefined } } as const
    expect(() => scheduleJobs(newCluster().coordinator(), { jobs })).toThrow(
      expect.objectContaining({ code: 'BANYAN_INVALID_KEY' }),
    )
  })
})
