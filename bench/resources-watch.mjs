// @ts-check
/** What resources cost over HTTP: lists of many, writes, and changes that a thousand clients watch. The server has a process of its own. */
import { fork } from 'node:child_process'
import { Agent, request } from 'node:http'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { percentiles } from './events/load.mjs'
import { spread, table } from './measure.mjs'

const RESOURCES = 100_000
const LISTS = 5
const WATCHERS = 1000
const CHANGES = 200
const WRITES = 2000
const IN_FLIGHT = 16
const SERVER = new URL('./resources/server.mjs', import.meta.url)
const THINGS = '/apis/bench.example/v1/namespaces/default/things'
const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io'

const mb = (/** @type {number} */ bytes) => (bytes / 2 ** 20).toFixed(1)
const ms = (/** @type {number} */ value) => value.toFixed(value < 10 ? 2 : 0)

class Server {
  #child
  #agent = new Agent({ keepAlive: true, maxSockets: IN_FLIGHT })
  #calls = 0
  port = 0
  /** @type {Map<number, (result: any) => void>} */
  #waiting = new Map()

  constructor(/** @type {string} */ place) {
    this.#child = fork(SERVER, [place], { execArgv: ['--expose-gc'] })
    this.#child.on('message', (/** @type {any} */ { call, result }) => this.#waiting.get(call)?.(result))
  }

  async start() {
    this.port = await this.ask('port')
    return this
  }

  /** @param {string} task @param {number} [count] @returns {Promise<any>} */
  ask(task, count = 0) {
    return new Promise((resolve) => {
      const call = ++this.#calls
      this.#waiting.set(call, resolve)
      this.#child.send({ call, task, count })
    })
  }

  /**
   * @param {string} method @param {string} path @param {object} [body] @param {Record<string, string>} [headers]
   * @returns {Promise<{ bytes: number, first: number, took: number }>} bytes, and ms until the first and the last of them
   */
  http(method, path, body, headers = {}) {
    const started = performance.now()
    return new Promise((resolve, reject) => {
      const asked = request(
        {
          port: this.port,
          method,
          path,
          agent: this.#agent,
          headers: { 'content-type': 'application/json', ...headers },
        },
        (response) => {
          let bytes = 0
          const first = performance.now() - started
          response.on('data', (part) => (bytes += part.length))
          response.on('end', () =>
            (response.statusCode ?? 500) < 300
              ? resolve({ bytes, first, took: performance.now() - started })
              : reject(new Error(`${method} ${path}: ${response.statusCode}`)),
          )
        },
      )
      asked.on('error', reject)
      asked.end(body && JSON.stringify(body))
    })
  }

  end() {
    this.#agent.destroy()
    this.#child.disconnect()
  }
}

const thing = (/** @type {string} */ name, /** @type {number} */ size) => ({
  metadata: { name, labels: { app: 'bench' } },
  spec: { size, note: 'x'.repeat(100) },
})

/** @param {Server} server */
async function lists(server) {
  const empty = await server.ask('usage')
  await server.ask('fill', RESOURCES)
  const full = await server.ask('usage')
  const rows = []
  for (const [name, path, headers] of /** @type {[string, string, Record<string, string>][]} */ ([
    ['all', THINGS, {}],
    ['all, from the cache', `${THINGS}?resourceVersion=0`, {}],
    ['all, as a table', `${THINGS}?resourceVersion=0`, { accept: TABLE }],
    ['a tenth by label, from the cache', `${THINGS}?resourceVersion=0&labelSelector=part%3D3`, {}],
    ['a page of 500', `${THINGS}?limit=500`, {}],
  ])) {
    const all = []
    for (let count = 0; count < LISTS; count++) all.push(await server.http('GET', path, undefined, headers))
    rows.push([
      name,
      spread(
        all.map(({ first }) => first),
        ms,
      ),
      spread(
        all.map(({ took }) => took),
        ms,
      ),
      mb(all[0]?.bytes ?? 0),
    ])
  }
  return [
    `### Lists of ${RESOURCES.toLocaleString('en')}`,
    `Kept in memory: ${((full.held - empty.held) / RESOURCES).toFixed(0)} bytes each, with those of the store in memory itself. Median of ${LISTS} (lowest – highest).`,
    table(['', 'ms to the first byte', 'ms to the last', 'MB'], rows),
  ]
}

/** A client that watches, and notes when it has so many lines. */
class Watcher {
  #lines = 0
  /** @type {(() => void) | undefined} */
  #reached
  #wanted = Infinity
  #socket

  constructor(/** @type {number} */ port) {
    this.#socket = connect(port, '127.0.0.1')
    const path = `${THINGS}?watch=1&sendInitialEvents=false&resourceVersionMatch=NotOlderThan`
    this.#socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    this.started = new Promise((resolve) => this.#socket.once('data', () => resolve(undefined)))
    this.#socket.on('data', (part) => {
      // Chunks have no line but that of the event itself.
      for (let at = part.indexOf('}\n'); at >= 0; at = part.indexOf('}\n', at + 1)) this.#lines++
      if (this.#lines >= this.#wanted) this.#reached?.()
    })
  }

  /** @param {number} lines @returns {Promise<void>} */
  reach(lines) {
    return new Promise((resolve) => {
      this.#wanted = lines
      this.#reached = resolve
      if (this.#lines >= lines) resolve()
    })
  }

  close() {
    this.#socket.destroy()
  }
}

/** @param {Server} server */
async function fanOut(server) {
  await server.http('POST', THINGS, thing('watched', 0))
  const before = await server.ask('usage')
  const watchers = Array.from({ length: WATCHERS }, () => new Watcher(server.port))
  await Promise.all(watchers.map(({ started }) => started))
  const patch = (/** @type {number} */ size) =>
    server.http(
      'PATCH',
      `${THINGS}/watched`,
      { spec: { size } },
      { 'content-type': 'application/merge-patch+json' },
    )
  await patch(1)
  await Promise.all(watchers.map((watcher) => watcher.reach(1)))
  const idle = await server.ask('usage')
  const latencies = []
  for (let count = 2; count < CHANGES + 2; count++) {
    const sent = performance.now()
    const told = Promise.all(
      watchers.map((watcher) => watcher.reach(count).then(() => latencies.push(performance.now() - sent))),
    )
    await patch(count)
    await told
  }
  const busy = await server.ask('usage')
  for (const watcher of watchers) watcher.close()
  const { p50, p99 } = percentiles(latencies)
  return [
    `### ${WATCHERS.toLocaleString('en')} clients that watch, over HTTP/1.1`,
    table(
      ['', ''],
      [
        ['from the request that changes something until a client is told: median', `${ms(p50)} ms`],
        ['99 of 100', `${ms(p99)} ms`],
        [
          'CPU of the server for each client and change',
          `${(((busy.cpu - idle.cpu) * 1000) / CHANGES / WATCHERS).toFixed(1)} µs`,
        ],
        ['memory of each that waits', `${((idle.held - before.held) / WATCHERS / 1024).toFixed(1)} kB`],
        ['more than that after the changes', `${((busy.held - idle.held) / WATCHERS / 1024).toFixed(1)} kB`],
      ],
    ),
  ]
}

/** @param {string} place */
async function writes(place) {
  const server = await new Server(place).start()
  let next = 0
  const each = async (/** @type {(index: number) => Promise<unknown>} */ write) => {
    const from = next
    const started = performance.now()
    await Promise.all(
      Array.from({ length: IN_FLIGHT }, async () => {
        while (next < from + WRITES) await write(next++)
      }),
    )
    return (WRITES * 1000) / (performance.now() - started)
  }
  const name = (/** @type {number} */ index) => `thing-${index % WRITES}`
  const created = await each((index) => server.http('POST', THINGS, thing(name(index), index)))
  const type = (/** @type {string} */ text) => ({ 'content-type': `application/${text}` })
  const merged = await each((index) =>
    server.http('PATCH', `${THINGS}/${name(index)}`, { spec: { size: index } }, type('merge-patch+json')),
  )
  const applied = await each((index) =>
    server.http(
      'PATCH',
      `${THINGS}/${name(index)}?fieldManager=bench&force=true`,
      thing(name(index), index),
      type('apply-patch+yaml'),
    ),
  )
  server.end()
  return [created, merged, applied].map((rate) => rate.toFixed(0))
}

/** @returns {Promise<string>} tables in Markdown */
export async function resourcesWatch() {
  const server = await new Server('memory:').start()
  const sections = [...(await fanOut(server)), ...(await lists(server))]
  server.end()
  const directory = mkdtempSync(join(tmpdir(), 'banyan-bench-'))
  const rows = [
    ['memory', ...(await writes('memory:'))],
    ['SQLite', ...(await writes(`sqlite:${join(directory, 'store')}`))],
  ]
  rmSync(directory, { recursive: true })
  return [
    '## Resources over HTTP',
    ...sections,
    '### Writes',
    `${IN_FLIGHT} at a time, of ${WRITES}; per second.`,
    table(['store', 'create', 'merge patch', 'server-side apply'], rows),
  ].join('\n\n')
}
