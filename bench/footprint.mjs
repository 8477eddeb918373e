// @ts-check
/** What a node weighs: memory with many idle connections, time to the first proxied request, time to import a pattern. */
import { execFileSync, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { freePort } from '../scripts/engines.mjs'
import { median, spread, table } from './measure.mjs'
import { startUpstream, writeConfig } from './proxy.mjs'

const CONNECTIONS = 10_000
const here = (/** @type {string} */ path) => new URL(path, import.meta.url).pathname

export async function footprint() {
  const upstream = await startUpstream()
  const url = `http://127.0.0.1:${upstream.port}`
  try {
    const firsts = []
    for (let round = 0; round < 7; round++) firsts.push(await timeToFirstRequest(url))
    const memory = await idleConnections(url)
    const bare = importTimes('node:path')
    const rows = [
      'traffic/policies/circuit-breaker',
      'traffic/policies/retry',
      'traffic/index',
      'traffic/gateway/index',
    ].map((module) => {
      const times = importTimes(here(`../dist/${module}.js`))
      return [module, spread(times, (ms) => ms.toFixed(1)), (median(times) - median(bare)).toFixed(1)]
    })
    return [
      '## Footprint',
      '',
      table(
        ['', 'measured', 'goal'],
        [
          ['start of the process to first proxied request, ms', spread(firsts), '< 500'],
          [`memory, idle, MB`, memory.before.toFixed(0), ''],
          [
            `memory with ${CONNECTIONS.toLocaleString('en')} idle connections, MB`,
            memory.after.toFixed(0),
            '',
          ],
          [
            'memory of one idle connection, kB',
            (((memory.after - memory.before) * 1024) / CONNECTIONS).toFixed(1),
            '',
          ],
        ],
      ),
      '',
      table(['import', 'ms in a fresh process, median (spread)', 'ms more than an empty one'], rows),
    ].join('\n')
  } finally {
    await upstream.stop()
  }
}

/** @param {string} url */
async function timeToFirstRequest(url) {
  const port = await freePort()
  const config = writeConfig(port, url)
  const startedAt = performance.now()
  const child = spawn(process.execPath, [here('../dist/cli/main.js'), 'up', '-c', config], {
    stdio: 'ignore',
  })
  while (!(await requestOnce(port))) await new Promise((resolve) => setTimeout(resolve, 2))
  const took = performance.now() - startedAt
  child.kill('SIGKILL')
  return took
}

/** @param {number} port @returns {Promise<boolean>} */
function requestOnce(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('GET /json HTTP/1.1\r\nHost: a\r\n\r\n'))
    socket.once('data', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

/** @param {string} url */
async function idleConnections(url) {
  const port = await freePort()
  const child = spawn(
    process.execPath,
    ['--expose-gc', here('../dist/cli/main.js'), 'up', '-c', writeConfig(port, url)],
    { stdio: 'ignore' },
  )
  while (!(await requestOnce(port))) await new Promise((resolve) => setTimeout(resolve, 20))
  const resident = () =>
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]) / 1024
  const before = resident()
  // Each connection has made a request, as idle connections have.
  const sockets = []
  for (let index = 0; index < CONNECTIONS; index += 200) {
    sockets.push(...(await Promise.all(Array.from({ length: 200 }, () => used(port)))))
  }
  await new Promise((resolve) => setTimeout(resolve, 2_000))
  const after = resident()
  for (const socket of sockets) socket.destroy()
  child.kill('SIGKILL')
  return { before, after }
}

/** @param {number} port @returns {Promise<import('node:net').Socket>} */
function used(port) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('GET /json HTTP/1.1\r\nHost: a\r\n\r\n'))
    socket.once('data', () => resolve(socket))
    socket.once('error', reject)
  })
}

/** @param {string} module @returns {number[]} ms */
function importTimes(module) {
  const program = `const t = performance.now(); await import(${JSON.stringify(module)}); console.log(performance.now() - t)`
  return Array.from({ length: 9 }, () =>
    Number(execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' })),
  )
}

if (process.argv[1] === import.meta.filename) console.log(await footprint())
