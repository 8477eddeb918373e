import { describe, expect, it } from 'vitest'
import {
  HOUR,
  MINUTE,
  SECOND,
  START,
  mortal,
  newCluster,
  outcomes,
  untilAborted,
} from '../../../test/support/jobs.js'
import { wrapDriver } from '../../testing/coordination/kit.js'
import { coordinationError } from '../errors.js'
import { readJob, readJobs, scheduleJobs, type JobOptions } from './index.js'

describe('a run', () => {
  it('that fails is not tried again, and the job goes on', async () => {
    const cluster = newCluster()
    await cluster.node('n', { run: () => Promise.reject(new Error('no paper')) })
    await cluster.runtime.clock.advance('121s')
    expect(cluster.minutes).toEqual([1, 2])
    expect((await readJob(cluster.coordinator(), 'report')).history).toMatchObject([
      { outcome: 'failed', error: 'Error: no paper' },
      { outcome: 'failed' },
    ])
    expect(cluster.logged).toContain(
      'error: job report: the run for 2026-01-01T00:01:00.000Z failed: Error: no paper',
    )
  })

  it('that fails is tried again if that was asked for, with a higher token, after a while', async () => {
    const cluster = newCluster()
    const retry = { attempts: 3, base: '2s', factor: 4 } as const
    for (const node of ['a', 'b'])
      await cluster.node(node, { every: '1h', retry, run: () => Promise.reject(new Error('no')) })
    await cluster.runtime.clock.advance('2h')
    await cluster.runtime.clock.advance('1m')
    expect(cluster.runs.map(({ run }) => [(run.scheduledFor - START) / HOUR, run.attempt])).toEqual([
      [1, 1],
      [1, 2],
      [1, 3],
      [2, 1],
      [2, 2],
      [2, 3],
    ])
    const [first, second, third] = cluster.runs as [
      (typeof cluster.runs)[0],
      (typeof cluster.runs)[0],
      (typeof cluster.runs)[0],
    ]
    expect(second.at - first.at).toBeGreaterThanOrEqual(1000)
    expect(third.at - second.at).toBeGreaterThanOrEqual(4000)
    expect(third.run.token).toBeGreaterThan(second.run.token)
    expect((await readJob(cluster.coordinator(), 'report')).counts).toMatchObject({
      failed: 6,
      missed: 0,
      overlapped: 0,
    })
  })

  it('that takes too long is told, and keeps others from starting until it has ended', async () => {
    const cluster = newCluster()
    let told = 0
    for (const node of ['a', 'b'])
      await cluster.node(node, {
        timeout: '10s',
        run: async ({ signal, check }) => {
          await untilAborted(signal)
          expect(check).toThrow(expect.objectContaining({ code: 'BANYAN_JOB_STOPPED' }))
          told = cluster.runtime.clock.wall()
          await cluster.sleep(90 * SECOND)
        },
      })
    const states: string[] = []
    for (const wait of ['65s', '9s', '80s', '27s'] as const) {
      await cluster.runtime.clock.advance(wait)
      states.push((await readJobs(cluster.coordinator()))[0]!.state)
    }
    expect(states).toEqual(['running', 'running', 'overrunning', 'running'])
    const goesOn = cluster.logged.filter((line) => line.includes('goes on'))
    expect(goesOn.map((line) => / (\S+) ago and goes on/.exec(line)?.[1])).toEqual([
      '5s',
      '15s',
      '35s',
      '1.3m',
    ])
    expect(goesOn[0]).toBe(
      'warn: job report: the run for 2026-01-01T00:01:00.000Z was told to end 5s ago and goes on: ' +
        'BanyanError: the run of report took longer than 10s',
    )
    expect(told - cluster.runs[0]!.at).toBe(10 * SECOND)
    expect(cluster.minutes).toEqual([1, 3])
    const [run] = (await readJob(cluster.coordinator(), 'report')).history
    expect(run).toMatchObject({
      outcome: 'timeout',
      error: 'BanyanError: the run of report took longer than 10s',
    })
  })

  it('whose process has died is lost, and is not started again', async () => {
    const cluster = newCluster()
    const dying = mortal(cluster)
    await cluster.node('dying', { run: () => dying.die() }, { coordinator: dying.coordinator })
    await cluster.runtime.clock.advance('61s')
    await cluster.node('other', { run: () => undefined })
    await cluster.runtime.clock.advance('2m')
    expect(cluster.minutes).toEqual([1, 2, 3])
    expect(cluster.runs.map(({ node }) => node)).toEqual(['dying', 'other', 'other'])
    expect(outcomes((await readJob(cluster.coordinator(), 'report')).history)).toEqual([
      'lost',
      'succeeded',
      'succeeded',
    ])
    expect(cluster.logged).toContain(
      'warn: job report: the run for 2026-01-01T00:01:00.000Z of dying is lost',
    )
  })

  it('whose process has died is started again by another one if that was asked for', async () => {
    const cluster = newCluster()
    const dying = mortal(cluster)
    const job = { every: '1h', retry: { attempts: 2 } } as const
    await cluster.node('dying', { ...job, run: () => dying.die() }, { coordinator: dying.coordinator })
    await cluster.runtime.clock.advance('61m')
    for (const node of ['b', 'c']) await cluster.node(node, job)
    await cluster.runtime.clock.advance('1m')
    expect(cluster.runs).toMatchObject([
      { node: 'dying', run: { scheduledFor: START + HOUR, attempt: 1 } },
      { run: { scheduledFor: START + HOUR, attempt: 2 } },
    ])
    expect(outcomes((await readJob(cluster.coordinator(), 'report')).history)).toEqual(['lost', 'succeeded'])
  })

  it('that kills every process is given up when its tries are used up', async () => {
    const cluster = newCluster()
    for (let node = 0; node < 4; node++) {
      const dying = mortal(cluster)
      const job: Partial<JobOptions> = { every: '1h', retry: { attempts: 3 }, run: () => dying.die() }
      await cluster.node(`n${node}`, job, { coordinator: dying.coordinator })
    }
    await cluster.runtime.clock.advance('90m')
    expect(cluster.runs.map(({ run }) => run.attempt)).toEqual([1, 2, 3])
    expect((await readJob(cluster.coordinator(), 'report')).counts).toMatchObject({ started: 3, lost: 3 })
  })

  it('whose key is taken away is told to end', async () => {
    const cluster = newCluster()
    await cluster.node('n', { run: ({ signal }) => untilAborted(signal) })
    await cluster.runtime.clock.advance('61s')
    await cluster.coordinator().delete('banyan/jobs-running/report')
    await cluster.runtime.clock.advance('1s')
    expect((await readJob(cluster.coordinator(), 'report')).history).toMatchObject([
      { outcome: 'lost', error: 'BanyanError: the key of the run of report was taken away' },
    ])
  })

  it('is not started by a process that has stood still since it was given it', async () => {
    const cluster = newCluster()
    const stalled = mortal(cluster)
    await cluster.node('stalled', { retry: {} }, { coordinator: stalled.coordinator })
    stalled.stallAfterClaim()
    await cluster.runtime.clock.advance('61s')
    await cluster.node('other', { retry: {} })
    await cluster.runtime.clock.advance('10s')
    expect(cluster.runs).toMatchObject([{ node: 'other', run: { attempt: 2 } }])
    stalled.resume()
    await cluster.runtime.clock.advance('10s')
    expect(cluster.runs).toHaveLength(1)
    const { counts } = await readJob(cluster.coordinator(), 'report')
    expect(counts).toMatchObject({ started: 2, lost: 1, succeeded: 1 })
  })

  it('that has lost its lease is told before anybody else starts', async () => {
    const cluster = newCluster()
    const cut = mortal(cluster)
    let told = Infinity
    await cluster.node(
      'cut',
      {
        retry: {},
        run: async ({ signal, check }) => {
          check()
          cut.cut()
          await untilAborted(signal)
          told = cluster.runtime.clock.wall()
          expect(check).toThrow(expect.objectContaining({ code: 'BANYAN_LEASE_LOST' }))
        },
      },
      { coordinator: cut.coordinator },
    )
    await cluster.runtime.clock.advance('61s')
    await cluster.node('other', { retry: {} })
    await cluster.runtime.clock.advance('30s')
    expect(cluster.runs).toMatchObject([
      { node: 'cut', run: { attempt: 1 } },
      { node: 'other', run: { attempt: 2 } },
    ])
    expect(told).toBeLessThan(cluster.runs[1]!.at)
    expect(cluster.runs[1]!.run.token).toBeGreaterThan(cluster.runs[0]!.run.token)
  })
})

describe('an answer that is lost', () => {
  it.each([
    ['to who takes a run', 'banyan/jobs-running/', 0],
    [
      'to who takes a run, and what was asked for comes when the run is over',
      'banyan/jobs-running/',
      30 * SECOND,
    ],
    ['to who claims it', 'banyan/jobs/', 0],
    ['to who claims it, and what was asked for comes when the run is over', 'banyan/jobs/', 30 * SECOND],
  ])('%s changes nothing', async (_, prefix, later) => {
    const cluster = newCluster()
    const node = mortal(cluster)
    await cluster.node('n', { run: () => cluster.sleep(SECOND) }, { coordinator: node.coordinator })
    node.loseAnswer(prefix, later)
    await cluster.runtime.clock.advance('181s')
    expect(cluster.minutes).toEqual([1, 2, 3])
    expect(cluster.runs.every(({ at, run }) => at - run.scheduledFor < SECOND)).toBe(true)
    await cluster.runtime.clock.advance('10s')
    const { counts, state } = await readJob(cluster.coordinator(), 'report')
    expect({ state, ...counts }).toMatchObject({ state: 'scheduled', started: 3, succeeded: 3, lost: 0 })
    expect((await cluster.coordinator().list('banyan/jobs-running/')).entries).toEqual([])
  })
})

it('a put that comes behind the delete of its run, before that is answered, keeps nobody from the next one', async () => {
  const cluster = newCluster()
  const driver = cluster.store.connect()
  let late: (() => void) | undefined
  let isLost = false
  const coordinator = cluster.coordinator(
    0,
    wrapDriver(driver, {
      put: (key, ...others) => {
        if (!key.startsWith('banyan/jobs-running/') || isLost) return driver.put(key, ...others)
        isLost = true
        late = () => void driver.put(key, ...others)
        throw coordinationError('BANYAN_OUTCOME_UNKNOWN', 'the answer is lost')
      },
      delete: async (key, expected) => {
        const result = await driver.delete(key, expected)
        late?.()
        late = undefined
        await cluster.sleep(10)
        return result
      },
    }),
  )
  await cluster.node('n', {}, { coordinator })
  await cluster.runtime.clock.advance('181s')
  expect(cluster.minutes).toEqual([1, 2, 3])
  expect((await cluster.coordinator().list('banyan/jobs-running/')).entries).toEqual([])
})

describe('clocks', () => {
  it('of nodes that differ by some seconds make no run twice', async () => {
    const cluster = newCluster()
    for (const [index, ahead] of [-7000, -300, 0, 450, 8000].entries())
      await cluster.node(`n${index}`, { every: '2s' }, { ahead })
    await cluster.runtime.clock.advance('60s')
    const times = cluster.runs.map(({ run }) => run.scheduledFor)
    expect(times).toEqual([...new Set(times)].sort((a, b) => a - b))
    expect(times.length).toBeGreaterThanOrEqual(29)
  })

  it('that are set back run nothing again', async () => {
    const cluster = newCluster()
    let ahead = 0
    for (const node of ['a', 'b']) await cluster.node(node, {}, { ahead: () => ahead })
    await cluster.runtime.clock.advance('181s')
    ahead = -2 * MINUTE
    await cluster.runtime.clock.advance('3m')
    expect(cluster.minutes).toEqual([1, 2, 3, 4])
  })

  it('that are set forward find what was missed', async () => {
    const cluster = newCluster()
    let ahead = 0
    await cluster.node('a', {}, { ahead: () => ahead })
    await cluster.runtime.clock.advance('61s')
    ahead = HOUR
    await cluster.runtime.clock.advance('61s')
    expect(cluster.minutes).toEqual([1, 62])
  })

  it('that are far apart are told of', async () => {
    const cluster = newCluster()
    await cluster.node('fast', {}, { ahead: HOUR })
    await cluster.runtime.clock.advance('61s')
    await cluster.node('right', {})
    await cluster.runtime.clock.advance('3m')
    expect(cluster.logged).toEqual([
      'warn: job report: its times up to 2026-01-01T01:01:00.000Z are decided about, which is 60m ahead of the clock here; ' +
        'compare it with that of fast',
    ])
  })
})

describe('closing', () => {
  it('waits for what is under way, and starts nothing more', async () => {
    const cluster = newCluster()
    const scheduler = await cluster.node(
      'n',
      { run: () => cluster.sleep(5 * SECOND) },
      { drain: 10 * SECOND },
    )
    await cluster.runtime.clock.advance('61s')
    await cluster.runtime.clock.settle(scheduler.close())
    expect(cluster.runtime.clock.now()).toBeLessThan(66 * SECOND)
    await cluster.runtime.clock.advance('5m')
    expect(cluster.minutes).toEqual([1])
    expect(outcomes((await readJob(cluster.coordinator(), 'report')).history)).toEqual(['succeeded'])
  })

  it('tells what takes longer to end; another one runs it again if that was asked for', async () => {
    const cluster = newCluster()
    const job = { every: '1h', retry: {} } as const
    const scheduler = await cluster.node(
      'first',
      { ...job, run: ({ signal }) => untilAborted(signal) },
      { drain: 3 * SECOND },
    )
    await cluster.runtime.clock.advance('61m')
    await cluster.runtime.clock.settle(scheduler.close())
    await cluster.node('second', job)
    await cluster.runtime.clock.advance('1m')
    expect(cluster.runs).toMatchObject([
      { node: 'first', run: { attempt: 1 } },
      { node: 'second', run: { scheduledFor: START + HOUR, attempt: 2 } },
    ])
    expect(outcomes((await readJob(cluster.coordinator(), 'report')).history)).toEqual([
      'interrupted',
      'succeeded',
    ])
  })

  it('says of a run that does not end that it goes on, and of one whose end cannot be written that it has ended', async () => {
    const cluster = newCluster()
    const cut = mortal(cluster)
    const never = (): Promise<never> => new Promise(() => undefined)
    const job = { every: '1m' } as const
    const [going, ended] = [
      await cluster.node('going', { ...job, run: never }),
      scheduleJobs(cut.coordinator, {
        drain: 0,
        jobs: { other: { ...job, run: ({ signal }) => (cut.cut(), untilAborted(signal)) } },
      }),
    ]
    await cluster.runtime.clock.advance('61s')
    await cluster.runtime.clock.settle(Promise.all([going.close(), ended.close()]))
    expect(cluster.logged.filter((line) => line.includes(': its run '))).toEqual([
      'error: job report: its run goes on though it was told to end; nobody else runs it as long as this process keeps its lease',
      'warn: job other: its run has ended, and that could not be written down yet; unless it is before this process ends, others take it for lost',
    ])
  })

  it('happens when a signal aborts', async () => {
    const cluster = newCluster()
    const stop = new AbortController()
    const scheduler = scheduleJobs(cluster.coordinator(), {
      signal: stop.signal,
      jobs: { report: { every: '1m', run: () => cluster.runs.push({} as never) } },
    })
    await scheduler.ready
    stop.abort()
    await cluster.runtime.clock.advance('5m')
    expect(cluster.runs).toEqual([])
    await scheduler.close()
  })
})
