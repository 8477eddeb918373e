// @ts-check
/**
 * Proxies against each other: one core for the proxy, the other for the load (wrk) and the upstream (nginx). Ours runs
 * as users run it, `banyan up`, with metrics on and a timeout, retry, breaker and bulkhead around every request.
 * The rounds of all proxies are interleaved.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort, start } from '../scripts/engines.mjs'
import { LOAD_CORE, PROXY_CORE, ROUNDS, startNode, wrk } from './load.mjs'
import { median, spread, table } from './measure.mjs'

const JSON_BODY = JSON.stringify({
  id: 12345,
  name: 'something',
  items: [
    { sku: 'a-1', qty: 2 },
    { sku: 'b-2', qty: 1 },
  ],
  total: 99.5,
  status: 'placed',
  at: '2026-01-01',
}).padEnd(150)

const here = (/** @type {string} */ path) => new URL(path, import.meta.url).pathname
const directory = mkdtempSync(join(tmpdir(), 'banyan-bench-'))

/** @type {Record<string, { about: string, args: string[], path: string, only?: string[] }>} */
const SCENARIOS = {
  small: { about: '150 B JSON GET, 64 connections', args: ['-c64'], path: '/json' },
  large: { about: '100 kB GET, 64 connections', args: ['-c64'], path: '/large' },
  upload: {
    about: '100 kB POST, 64 connections',
    args: ['-c64', '-s', join(directory, 'upload.lua')],
    path: '/upload',
  },
  crowd: { about: '150 B JSON GET, 1,000 connections', args: ['-c1000'], path: '/json' },
}

writeFileSync(join(directory, 'upload.lua'), `wrk.method = "POST"\nwrk.body = string.rep("x", 100000)\n`)

/** @param {number} port @param {string} upstream */
export function writeConfig(port, upstream) {
  const file = join(directory, `banyan-${port}.json`)
  writeFileSync(
    file,
    JSON.stringify({
      listen: port,
      admin: 0,
      services: { s: { endpoints: [upstream], policy: 'p' } },
      policies: {
        p: {
          timeout: '5s',
          retry: { attempts: 3 },
          breaker: { failureRate: 0.5 },
          bulkhead: { concurrency: 2000 },
        },
      },
      routes: { all: { match: {}, to: 's' } },
    }),
  )
  return file
}

export function startUpstream() {
  return start(
    'nginx',
    {
      server: `location = /json { default_type application/json; return 200 '${JSON_BODY}'; } location = /upload { client_body_buffer_size 256k; return 200 'ok'; }`,
    },
    { files: { large: randomBytes(100_000) }, wrap: ['taskset', '-c', LOAD_CORE] },
  )
}

/** @param {string} upstream */
export async function startBanyan(upstream) {
  const port = await freePort()
  return startNode([here('../dist/cli/main.js'), 'up', '-c', writeConfig(port, upstream)], port)
}

export async function proxies() {
  const upstream = await startUpstream()
  const url = `http://127.0.0.1:${upstream.port}`
  const ports = { httpProxy: await freePort(), fastify: await freePort() }
  /** @type {Record<string, { port: number, stop: () => Promise<void> }>} */
  const started = {
    nginx: await start(
      'nginx',
      {
        http: `upstream u { server 127.0.0.1:${upstream.port}; keepalive 256; keepalive_requests 1000000000; }`,
        server:
          'location / { proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering on; client_body_buffer_size 256k; }',
      },
      { wrap: ['taskset', '-c', PROXY_CORE] },
    ),
    banyan: await startBanyan(url),
    'http-proxy': await startNode(
      [here('proxies/http-proxy.mjs'), url, String(ports.httpProxy)],
      ports.httpProxy,
    ),
    '@fastify/http-proxy': await startNode(
      [here('proxies/fastify.mjs'), url, String(ports.fastify)],
      ports.fastify,
    ),
  }
  /** @type {string[]} */
  const lines = ['## Proxies: one core each, upstream nginx', '']
  try {
    for (const { about, args, path } of Object.values(SCENARIOS)) {
      /** @type {Record<string, import('./load.mjs').Load[]>} */
      const results = {}
      for (let round = 0; round <= ROUNDS; round++) {
        for (const [name, { port }] of Object.entries(started)) {
          const result = wrk(`http://127.0.0.1:${port}${path}`, args)
          // The first round warms up.
          if (round > 0) (results[name] ??= []).push(result)
        }
      }
      const rate = (/** @type {string} */ name) =>
        median((results[name] ?? []).map(({ perSecond }) => perSecond))
      lines.push(
        `### ${about}`,
        '',
        table(
          ['proxy', 'req/s, median (spread)', 'p50 ms', 'p99 ms', 'x nginx', 'banyan is', 'errors'],
          Object.entries(results).map(([name, each]) => [
            name,
            spread(each.map(({ perSecond }) => perSecond)),
            median(each.map(({ p50 }) => p50)).toFixed(2),
            median(each.map(({ p99 }) => p99)).toFixed(2),
            (rate(name) / rate('nginx')).toFixed(2),
            name === 'banyan' ? '' : `${(rate('banyan') / rate(name)).toFixed(2)} x`,
            each.map(({ errors }) => errors ?? 0).join(', '),
          ]),
        ),
        '',
      )
    }
    lines.push(await addedLatency({ direct: upstream, ...started }))
  } finally {
    await Promise.all([upstream, ...Object.values(started)].map(({ stop }) => stop()))
  }
  return lines.join('\n')
}

/**
 * Latency that a proxy adds: one connection, one request after the other.
 *
 * @param {Record<string, { port: number }>} targets
 */
async function addedLatency(targets) {
  /** @type {Record<string, { p50: number[], p99: number[] }>} */
  const results = {}
  for (let round = 0; round < 5; round++) {
    for (const [name, { port }] of Object.entries(targets)) {
      const times = await pingPong(port, 3_000)
      times.sort((a, b) => a - b)
      const each = (results[name] ??= { p50: [], p99: [] })
      each.p50.push(/** @type {number} */ (times[times.length >> 1]))
      each.p99.push(/** @type {number} */ (times[Math.floor(times.length * 0.99)]))
    }
  }
  const direct = results['direct']
  const us = (/** @type {number} */ ms) => (ms * 1000).toFixed(0)
  return [
    '### Added latency: one connection, one request after the other, against a direct call (us)',
    '',
    table(
      ['', 'p50', 'p99', 'added p50', 'added p99'],
      Object.entries(results).map(([name, { p50, p99 }]) => [
        name,
        spread(p50, us),
        spread(p99, us),
        direct && name !== 'direct' ? us(median(p50) - median(direct.p50)) : '',
        direct && name !== 'direct' ? us(median(p99) - median(direct.p99)) : '',
      ]),
    ),
  ].join('\n')
}

/** @param {number} port @param {number} count @returns {Promise<number[]>} ms of each request */
function pingPong(port, count) {
  return new Promise((resolve, reject) => {
    /** @type {number[]} */
    const times = []
    let startedAt = 0
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    const send = () => {
      startedAt = performance.now()
      socket.write('GET /json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
    }
    socket.on('connect', send)
    socket.on('error', reject)
    let text = ''
    socket.on('data', (data) => {
      text += data.toString('latin1')
      if (!text.includes('2026-01-01')) return
      text = ''
      times.push(performance.now() - startedAt)
      if (times.length < count) send()
      else {
        socket.destroy()
        resolve(times)
      }
    })
  })
}

if (process.argv[1] === import.meta.filename) console.log(await proxies())
