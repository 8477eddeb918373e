import { describe, expect, it } from 'vitest'
import { SECOND, START, newCluster } from '../../../test/support/jobs.js'
import { pauseJob, readJob, readJobs, removeJob, resumeJob, triggerJob } from './index.js'

describe('an operator', () => {
  it('asks for a run now, also of a job that is paused', async () => {
    const cluster = newCluster()
    const operator = cluster.coordinator()
    for (const node of ['a', 'b']) await cluster.node(node, { every: '1h' })
    await triggerJob(operator, 'report', { by: 'ann' })
    await triggerJob(operator, 'report', { by: 'bob' })
    expect((await readJob(operator, 'report')).asked).toMatchObject({ by: 'ann' })
    await cluster.runtime.clock.advance('1s')
    expect(cluster.runs).toMatchObject([{ run: { scheduledFor: START, attempt: 1 } }])
    await pauseJob(operator, 'report')
    await triggerJob(operator, 'report')
    await cluster.runtime.clock.advance('1s')
    expect(cluster.runs).toHaveLength(2)
    expect((await readJob(operator, 'report')).history[0]).toMatchObject({
      asked: true,
      outcome: 'succeeded',
    })
  })

  it('asks for a run while one is under way, and gets it when that is over', async () => {
    const cluster = newCluster()
    await cluster.node('n', { every: '1h', run: () => cluster.sleep(30 * SECOND) })
    await triggerJob(cluster.coordinator(), 'report')
    await cluster.runtime.clock.advance('10s')
    await triggerJob(cluster.coordinator(), 'report')
    await cluster.runtime.clock.advance('10s')
    expect(cluster.runs).toHaveLength(1)
    await cluster.runtime.clock.advance('20s')
    expect(cluster.runs).toHaveLength(2)
  })

  it('pauses a job; what comes meanwhile is not made up for', async () => {
    const cluster = newCluster()
    const operator = cluster.coordinator()
    for (const node of ['a', 'b']) await cluster.node(node, { missed: 'all' })
    await cluster.runtime.clock.advance('61s')
    await pauseJob(operator, 'report', { by: 'ann' })
    await cluster.runtime.clock.advance('10m')
    expect(await readJob(operator, 'report')).toMatchObject({
      state: 'paused',
      paused: { by: 'ann' },
      next: undefined,
    })
    await resumeJob(operator, 'report')
    await cluster.runtime.clock.advance('1m')
    expect(cluster.minutes).toEqual([1, 12])
  })

  it('resumes a job before the run of a time that has come was to start', async () => {
    const cluster = newCluster()
    const operator = cluster.coordinator()
    await cluster.node('n', { every: '1h', jitter: '30m' })
    await cluster.runtime.clock.advance('121m')
    await pauseJob(operator, 'report')
    await resumeJob(operator, 'report')
    await cluster.runtime.clock.advance('30m')
    expect(cluster.minutes).toEqual([60, 120])
  })

  it('removes a job that nobody has', async () => {
    const cluster = newCluster()
    const operator = cluster.coordinator()
    const scheduler = await cluster.node('n', {})
    await cluster.runtime.clock.advance('61s')
    await cluster.runtime.clock.settle(scheduler.close())
    await cluster.runtime.clock.advance('3m')
    expect(await readJobs(operator)).toMatchObject([{ state: 'overdue' }])
    await removeJob(operator, 'report')
    expect((await operator.list('')).entries).toEqual([])
    await expect(triggerJob(operator, 'report')).rejects.toMatchObject({ code: 'BANYAN_JOB_UNKNOWN' })
  })

  it('cannot remove a job that is scheduled', async () => {
    const cluster = newCluster()
    await cluster.node('n', {})
    await cluster.runtime.clock.advance('61s')
    await removeJob(cluster.coordinator(), 'report')
    await cluster.runtime.clock.advance('1m')
    expect(cluster.minutes).toEqual([1, 2])
    expect((await readJob(cluster.coordinator(), 'report')).counts.started).toBe(1)
  })
})
