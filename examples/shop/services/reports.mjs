// @ts-check
import { setTimeout as wait } from 'node:timers/promises'
import { elect, fenced, openCoordinator, register, scheduleJobs } from 'banyan/coordination'
import { openLog } from 'banyan/events'
import { problem, startService } from './service.mjs'

/** The election, and the fence in the log: all that write reports say the same. */
const NAME = 'nightly-report'
const STREAM = 'report-nightly'
/** How long a day of the shop is, in ms. */
const DAY = Number(process.env['DAY'] ?? 5_000)
/** When a process that was killed is gone for the others; how long one that leaves is still there for the gateway. */
const ALIVE = /** @type {const} */ ({ ttl: '3s', drain: '300ms' })
/** How many reports are kept. */
const KEPT = 100

const data = `sqlite:${process.env['SHOP_DATA'] ?? 'data'}`
const log = await openLog(data)
const coordinator = await openCoordinator(data)
// All processes of the service are candidates.
const election = elect(coordinator, NAME, { ttl: ALIVE.ttl, onLead: writeReports })
// Each minute, or `banyan jobs run old-reports`: one of them, whoever is first.
const scheduler = scheduleJobs(coordinator, {
  jobs: { 'old-reports': { every: '1m', retry: {}, run: removeOldReports } },
  ttl: ALIVE.ttl,
})
startService(
  'reports',
  async (request, url) => {
    if (request.method === 'GET') return { leader: await election.leader(), reports: await lastReports() }
    if (url.pathname === '/reports/late') return writeLate()
    throw problem(404, 'reports are written by themselves')
  },
  async () => {
    await scheduler.close()
    await coordinator.close()
    await log.close()
  },
  { arrive, depart },
)

/** @type {import('banyan/coordination').Registration | undefined} */
let registration

/** From now on the gateway knows where it is, as long as it lives. */
async function arrive() {
  const port = process.env['PORT']
  const address = `http://127.0.0.1:${port}`
  // Killed and started again it takes the place that it had.
  registration = register(coordinator, { service: 'reports', id: `reports-${port}`, address, ...ALIVE })
  await registration.ready
}

/** The gateway sends it nothing more, and the next one leads, while it still answers. */
async function depart() {
  await Promise.all([election.close(), registration?.close()])
}

/**
 * What the leader does: each night it writes what was sold so far, if anything has changed.
 *
 * @param {AbortSignal} signal that somebody else may lead soon
 * @param {number} token higher than that of every leader before
 * @param {import('banyan/coordination').Term} term
 */
async function writeReports(signal, token, term) {
  try {
    const reports = fenced(log, { name: NAME, token: term })
    // From now on the log takes nothing from leaders of before: what is read is what they have left.
    await reports.raise()
    const { pid } = process
    console.log(
      `  pid ${pid} writes the nightly report, token ${token}; for the other one to do it: kill -9 ${pid}`,
    )
    const sold = { ordered: 0, shipped: 0, closed: 0 }
    for (let position = '0', isFirst = true; !signal.aborted; isFirst = false) {
      const before = position
      for await (const event of reports.read({ category: 'order' }, { from: position })) {
        if (event.type === 'OrderPlaced') sold.ordered++
        if (event.type === 'OrderShipped') sold.shipped++
        if (event.type === 'OrderClosed') sold.closed++
        position = event.position
      }
      if (isFirst || position !== before) await reports.append(report({ ...sold, token, pid }))
      await wait(DAY, undefined, { signal }).catch(() => undefined)
    }
  } catch (error) {
    // It is closing, or another one leads: that is no fault.
    if (signal.aborted) return
    console.error('reports:', error)
    throw error
  }
}

/** If the process dies in the midst of it, the other one does it again: that does no harm. */
async function removeOldReports() {
  const last = await log.revision(STREAM)
  if (last === 'none' || last < KEPT) return
  await log.truncate({ stream: STREAM, beforeRevision: last + 1 - KEPT })
}

/**
 * What a leader would do that was stopped in the midst of its work, and goes on when another one has long taken over: it
 * writes under its token, the one before the last.
 */
async function writeLate() {
  const late = await tokenBeforeTheLast()
  if (late === undefined) throw problem(404, 'all reports are of one leader: kill it first')
  try {
    await fenced(log, { name: NAME, token: late }).append(report({ token: late, pid: process.pid }))
  } catch (error) {
    const { code, message } = /** @type {{ code?: string, message: string }} */ (error)
    throw code === 'BANYAN_STALE_TOKEN' ? problem(409, message) : error
  }
  return { token: late }
}

async function tokenBeforeTheLast() {
  let last = 0
  for await (const { data } of log.read({ stream: STREAM }, { backwards: true })) {
    const { token } = /** @type {Report} */ (data)
    if (token < last) return token
    last = token
  }
  return undefined
}

/** @param {Partial<Report>} data */
function report(data) {
  return { streams: [{ stream: STREAM, events: [{ type: 'ReportWritten', data }] }] }
}

/** The last ones first. */
async function lastReports() {
  /** @type {(Report & { at: string })[]} */
  const found = []
  const last = { backwards: true, limit: 5 }
  for await (const { time, data } of log.read({ stream: STREAM }, last))
    found.push({ .../** @type {Report} */ (data), at: new Date(time).toISOString() })
  return found
}

/** @typedef {{ ordered: number, shipped: number, closed: number, token: number, pid: number }} Report */
