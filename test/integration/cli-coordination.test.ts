import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { systemRuntime } from '../../src/core/runtime.js'
import { noTelemetry } from '../../src/core/telemetry.js'
import {
  elect,
  lock,
  openCoordinator,
  register,
  scheduleJobs,
  semaphore,
  type Coordinator,
  type Election,
} from '../../src/coordination/index.js'
import { Cli, run } from '../support/cli.js'
import { startCoordination } from '../support/coordination-node.js'
import { closeAll } from '../support/gateway.js'
import { serverSentEvents } from '../support/sse.js'

/** One node and one application on the same coordinator; what operators see of it and do to it, in the order of a day. */

let directory: string
let application: Coordinator
let admin: string
let ask: Awaited<ReturnType<typeof startCoordination>>['ask']
const elections: Election[] = []
const ran: number[] = []

const untilAborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'banyan-cli-coordination-'))
  const runtime = { ...systemRuntime, telemetry: noTelemetry }
  application = await openCoordinator(`sqlite:${directory}`, { runtime })
  ;({ admin, ask } = await startCoordination({ driver: 'sqlite', path: directory }))
  for (const holder of ['web-1:4711', 'web-2:88']) {
    elections.push(elect(application, 'billing', { holder, onLead: untilAborted }))
    const kind = holder === 'web-1:4711' ? 'leading' : 'follower'
    await vi.waitFor(() => expect(elections.at(-1)!.state.kind).toBe(kind))
  }
  await lock(application, 'stock', { holder: 'web-1:4711' }).acquire()
  // Who waits is let go when all is closed.
  lock(application, 'stock', { holder: 'web-2:88' })
    .acquire()
    .catch(() => undefined)
  await semaphore(application, 'imports', { permits: 2, holder: 'web-1:4711' }).acquire()
  scheduleJobs(application, {
    holder: 'batch-1:12',
    jobs: { report: { cron: '0 0 29 2 *', run: ({ token }) => ran.push(token) } },
  })
  const options = { zone: 'a', tags: ['blue'] }
  await register(application, { service: 'orders', id: 'o1', address: 'http://10.0.0.1:1', ...options }).ready
})

afterAll(async () => {
  await closeAll()
  await Promise.all(elections.map((election) => election.close()))
  await application.close()
  rmSync(directory, { recursive: true })
})

const through = () => ['--admin', admin]
const directly = () => ['--on', `sqlite:${directory}`]

test('what there is, through a node and directly', async () => {
  const commands = ['leaders', 'locks', 'semaphores', 'jobs', 'registry']
  const shown = await Promise.all(
    commands.map((command, index) => run(command, ...(index % 2 === 0 ? through() : directly()))),
  )
  expect(shown.map(({ stderr }) => stderr).join('')).toBe('')
  const [leaders, locks, semaphores, jobs, registry] = shown.map(({ stdout }) => stdout)
  expect(leaders).toMatch(
    /^ELECTION +LEADER +TOKEN +SINCE +CANDIDATES\nbilling +web-1:4711 +\d+ +\S+ ago +web-2:88\n$/,
  )
  expect(locks).toMatch(/^LOCK.*\nstock +write +web-1:4711 +\d+ +\S+ ago +1: web-2:88\n$/)
  expect(semaphores).toMatch(/^SEMAPHORE.*\nimports +1 of 2 +web-1:4711 +\d+ +\S+ ago +-\n$/)
  expect(jobs).toMatch(/^JOB.*\nreport +scheduled +in \S+ +- +- +- +- +0 0 29 2 \* in UTC\n$/)
  expect(registry).toMatch(
    /^SERVICE.*\norders +o1 +http:\/\/10\.0\.0\.1:1 +passing +a +- +1 +\S+ ago +blue\n$/,
  )
})

test('one of them, with its past; as JSON with times of ISO 8601', async () => {
  const [leader, json] = await Promise.all([
    run('leaders', 'billing', ...through()),
    run('leaders', 'billing', '--json', ...directly()),
  ])
  expect(leader.stdout).toMatch(/^billing\nleader {2}web-1:4711\ntoken +\d+\nsince +20\S+Z, \S+ ago\n\nNEXT/)
  expect(leader.stdout).toMatch(/TERM +LEADER +FROM +FOR +ENDED\n +\d+ +web-1:4711 .* leads\n$/)
  expect(JSON.parse(json.stdout)).toMatchObject({
    name: 'billing',
    leader: { holder: 'web-1:4711', since: expect.stringMatching(/^20.*Z$/) as string },
    candidates: [{ holder: 'web-2:88' }],
    history: [{ holder: 'web-1:4711' }],
  })
})

test('what is not there is an error that helps', async () => {
  const answers = await Promise.all([
    run('leaders', 'biling', ...through()),
    run('jobs', 'run', 'rapport', ...directly()),
    run('locks', '--on', `sqlite:${directory}/nowhere`),
    run('locks', ...directly(), ...through()),
    run('leaders', 'hand-over', 'billing', '--to', 'web-7:1', ...through()),
    run('locks', 'release', 'stock', ...through()),
  ])
  expect(answers.map(({ code }) => code)).toEqual([1, 1, 1, 2, 1, 2])
  const errors = answers.map(({ stderr }) => stderr)
  expect(errors[0]).toContain('there is no election "biling", did you mean "billing"?')
  expect(errors[1]).toContain('there is no job "rapport", did you mean "report"?')
  expect(errors[2]).toContain(`there is no coordinator at sqlite:${directory}/nowhere (--on)`)
  expect(errors[3]).toContain('--on and --admin each say which coordinator; give one of them')
  expect(errors[4]).toContain('"web-7:1" does not wait to lead "billing"; who does: web-2:88')
  expect(errors[5]).toMatch(/This takes the lock stock away from web-1:4711.*if that is meant, say --yes/)
})

test('the admin API answers the same, and says what is wrong', async () => {
  expect(await ask('/api/locks')).toMatchObject({
    locks: [{ name: 'stock', holders: [{ holder: 'web-1:4711' }], waiting: [{ holder: 'web-2:88' }] }],
  })
  expect(await ask('/api/registry/orders')).toMatchObject({
    instances: [{ id: 'o1', state: 'passing' }],
    history: [{ what: 'registered' }],
  })
  const post = (body: string) => ({ method: 'POST', body })
  for (const [path, init, problem] of [
    ['/api/jobs/repo', {}, { status: 404, code: 'BANYAN_JOB_UNKNOWN' }],
    ['/api/elections/billing?x=1', {}, { status: 400, detail: 'Unknown parameter `x`; there are none.' }],
    ['/api/jobs/report/stop', post(''), { status: 404 }],
    ['/api/jobs/report/run', post('{ "why": 1 }'), { status: 400, detail: 'Unknown: why; known are by.' }],
    ['/api/locks/stock/release', post('{ "token": 1 }'), { status: 404, code: 'BANYAN_LOCK_UNKNOWN' }],
    ['/api/jobs', { method: 'DELETE' }, { status: 405 }],
  ] as const)
    expect(await ask(path, init), path).toMatchObject(problem)
})

test('a hand-over is seen as it happens, by those who follow', async () => {
  const live = new Cli('leaders', 'billing', '--watch', '--json', ...through())
  await live.printed(/"holder":"web-1:4711"/)
  const following = new AbortController()
  const headers = { accept: 'text/event-stream' }
  const response = await fetch(`${admin}/api/elections`, { headers, signal: following.signal })
  const events = serverSentEvents(response)
  const next = async () => {
    for (;;) {
      const { value } = (await events.next()) as { value: { event: string; data: string } }
      if (value.event === 'message') return JSON.parse(value.data) as { leader?: { holder: string } }
    }
  }
  expect((await next()).leader?.holder).toBe('web-1:4711')

  const asked = await run('leaders', 'hand-over', 'billing', '--actor', 'ada', ...directly())
  expect(asked.stdout).toBe('web-1:4711 is asked to hand over billing: it ends its work first\n')
  let leader: string | undefined
  while (leader !== 'web-2:88') leader = (await next()).leader?.holder
  await live.printed(/"leader":\{"holder":"web-2:88"/)
  live.process.kill('SIGINT')
  expect((await live.finish()).code).toBe(0)
  following.abort()
})

test('jobs are run, paused and resumed; a lock is taken away', async () => {
  expect((await run('jobs', 'run', 'report', ...through())).stdout).toBe(
    'report is run as soon as somebody who can is free\n',
  )
  await expect.poll(() => ran.length).toBe(1)
  expect((await run('jobs', 'pause', 'report', '--actor', 'ada', ...through())).code).toBe(0)
  const paused = await run('jobs', 'report', ...directly())
  expect(paused.stdout).toMatch(/^report {2}paused\n/)
  expect(paused.stdout).toMatch(/\npaused +by ada, \S+ ago\n/)
  expect(paused.stdout).toMatch(/\n +\d+ +20\S+Z \(asked for\) +1 +\S+ +succeeded +batch-1:12\n$/)
  expect((await run('jobs', 'resume', 'report', ...directly())).stdout).toBe(
    'report goes on with its next time\n',
  )
  const released = await run('locks', 'release', 'stock', '--yes', ...through())
  expect(released.stdout).toMatch(/^stock is taken away from web-1:4711, token \d+\n$/)
  await expect.poll(() => ask('/api/locks')).toMatchObject({ locks: [{ holders: [{ holder: 'web-2:88' }] }] })
})

test('an instance is asked to leave the registry, and does', async () => {
  const unknown = await run('registry', 'drain', 'orders', 'o2', ...directly())
  const asked = await run('registry', 'drain', 'orders', 'o1', '--for', '50ms', ...through())
  expect(unknown.stderr).toContain('there is no instance "o2" of "orders", did you mean "o1"?')
  expect(asked.stdout).toMatch(/^o1 at http:\/\/10\.0\.0\.1:1 is asked to leave orders: /)
  await expect.poll(() => ask('/api/registry')).toEqual({ registry: [] })
  expect(await ask('/api/registry/orders')).toMatchObject({
    history: [{ what: 'registered' }, { what: 'draining' }, { what: 'removed' }],
  })
})

test('a node without a coordinator says so', async () => {
  await closeAll()
  const other = await startCoordination({ driver: 'memory' }, { coordination: undefined })
  const { code, stderr } = await run('leaders', '--admin', other.admin)
  expect(code).toBe(1)
  expect(stderr).toContain('This node has no coordinator: its configuration has no `coordination`.')
})
