// @ts-check
/**
 * The gateway's features: what each costs a request, how many routes it bears, HTTP/2 and TLS, several workers, memory.
 * One core for the gateway, the other for the load and the upstream (nginx), but for workers. Rounds are interleaved.
 */
import { execFileSync } from 'node:child_process'
import { generateKeyPairSync, sign } from 'node:crypto'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort, start } from '../scripts/engines.mjs'
import { h2load, PROXY_CORE, ROUNDS, startNode, wrk } from './load.mjs'
import { median, spread, table } from './measure.mjs'
import { startUpstream } from './proxy.mjs'

const directory = mkdtempSync(join(tmpdir(), 'banyan-bench-'))
const main = new URL('../dist/cli/main.js', import.meta.url).pathname
let files = 0

/**
 * @typedef {object} Variant
 * @property {() => import('./load.mjs').Load} load
 * @property {() => Promise<void>} stop
 */

/**
 * Runs `banyan up`.
 *
 * @param {string} upstream
 * @param {{ [key: string]: unknown, route?: object, service?: object }} more of the configuration, of its route and its service
 * @param {{ cores?: string, listen?: (port: number) => unknown }} [how]
 */
export async function banyan(upstream, more, how = {}) {
  const port = await freePort()
  const { route = {}, service = {}, ...rest } = more
  const file = join(directory, `banyan-${files++}.json`)
  writeFileSync(
    file,
    JSON.stringify({
      listen: how.listen?.(port) ?? port,
      admin: false,
      services: { s: { endpoints: [upstream], ...service } },
      routes: { all: { match: {}, to: 's', ...route } },
      ...rest,
    }),
  )
  return startNode([main, 'up', '--no-watch', '-c', file], port, how.cores)
}

/**
 * Loads every variant in turn, and tells how it compares with the first.
 *
 * @param {Record<string, Variant>} variants
 * @param {string} latency what the last column is
 */
export async function compare(variants, latency = 'p99 ms') {
  /** @type {Record<string, import('./load.mjs').Load[]>} */
  const results = {}
  try {
    for (let round = 0; round <= ROUNDS; round++) {
      for (const [name, { load }] of Object.entries(variants)) {
        const result = load()
        // The first round warms up.
        if (round > 0) (results[name] ??= []).push(result)
      }
    }
  } finally {
    await Promise.all(Object.values(variants).map(({ stop }) => stop()))
  }
  const rate = (/** @type {string} */ name) => median((results[name] ?? []).map(({ perSecond }) => perSecond))
  const base = rate(Object.keys(variants)[0] ?? '')
  return table(
    ['', 'req/s, median (spread)', 'x the first', 'us a request more', latency, 'errors'],
    Object.entries(results).map(([name, each]) => [
      name,
      spread(each.map(({ perSecond }) => perSecond)),
      (rate(name) / base).toFixed(2),
      (1e6 / rate(name) - 1e6 / base).toFixed(1),
      median(each.map(({ p99 }) => p99)).toFixed(2),
      each.map(({ errors }) => errors ?? 0).join(', '),
    ]),
  )
}

/** A signing key, and tokens made with it. */
function issuer() {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'bench', alg: 'EdDSA', use: 'sig' }
  const keys = join(directory, 'keys.json')
  writeFileSync(keys, JSON.stringify({ keys: [jwk] }))
  const part = (/** @type {object} */ value) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const head = part({ alg: 'EdDSA', kid: 'bench', typ: 'JWT' })
  const token = (/** @type {number} */ id) => {
    const text = `${head}.${part({ iss: 'https://issuer.example/', aud: 'shop', sub: `user-${id}`, scope: 'orders:read', iat: 1_700_000_000, exp: 4_000_000_000, jti: id })}`
    return `${text}.${sign(undefined, Buffer.from(text), privateKey).toString('base64url')}`
  }
  return { keys, token }
}

/** @param {string} upstream */
async function features(upstream) {
  const { keys, token } = issuer()
  const authenticators = {
    users: { jwt: { keys: { file: keys }, issuer: 'https://issuer.example/', audience: 'shop' } },
  }
  const access = { by: 'users', allow: { scopes: ['orders:read'] } }
  const rateLimit = { limit: 1_000_000_000, window: '1s', by: 'client' }
  const policies = {
    p: {
      timeout: '5s',
      retry: { attempts: 3 },
      breaker: { failureRate: 0.5 },
      bulkhead: { concurrency: 2_000 },
    },
    limited: { rateLimit },
    all: {
      timeout: '5s',
      retry: { attempts: 3 },
      breaker: { failureRate: 0.5 },
      bulkhead: { concurrency: 2_000 },
      rateLimit,
    },
  }
  const known = ['-H', `Authorization: Bearer ${token(1)}`]
  const checked = { health: { http: { path: '/json' }, interval: '1s' }, outliers: { consecutiveErrors: 5 } }
  const everything = {
    requestId: true,
    cors: { origins: ['https://shop.example'] },
    access,
    compress: true,
  }
  const accessLog = { output: join(directory, 'access.log') }
  /** @type {Record<string, [Parameters<typeof banyan>[1], string[]?]>} */
  const kinds = {
    'nothing on': [{}],
    'timeout, retry, breaker, bulkhead': [{ policies, service: { policy: 'p' } }],
    'rate limit by client': [{ policies, service: { policy: 'limited' } }],
    'health checks, outlier ejection': [{ service: checked }],
    'request id': [{ route: { requestId: true } }],
    CORS: [{ route: { cors: { origins: ['https://shop.example'] } } }],
    'JWT, remembered': [{ authenticators, route: { access } }, known],
    'access log to a file': [{ accessLog }],
    'compression (answers too short for it)': [{ route: { compress: true } }],
    'cache, hit': [{ route: { cache: { defaultTtl: '1m' } } }],
    'everything on': [
      { authenticators, accessLog, policies, service: { ...checked, policy: 'all' }, route: everything },
      known,
    ],
  }
  /** @type {Record<string, Variant>} */
  const variants = {}
  for (const [name, [more, args = []]] of Object.entries(kinds)) {
    const { port, stop } = await banyan(upstream, more)
    variants[name] = { load: () => wrk(`http://127.0.0.1:${port}/json`, ['-c64', ...args]), stop }
  }
  return ['### What features cost: 150 B JSON GET, 64 connections', '', await compare(variants), ''].join(
    '\n',
  )
}

/** @param {string} upstream */
async function routes(upstream) {
  /** @type {Record<string, Variant>} */
  const variants = {}
  for (const count of [10, 1_000]) {
    const names = Array.from({ length: count }, (_, index) => `r${index}`)
    const { port, stop } = await banyan(upstream, {
      routes: Object.fromEntries(
        names.map((name) => [
          name,
          { match: { path: `/${name}/:id/items/*` }, to: 's', rewrite: { path: '/json?rest=' } },
        ]),
      ),
    })
    const path = `/r${count - 1}/7/items/x`
    variants[`banyan, ${count} routes`] = {
      load: () => wrk(`http://127.0.0.1:${port}${path}`, ['-c64']),
      stop,
    }
    const nginx = await start(
      'nginx',
      {
        http: `upstream u { server ${upstream.replace('http://', '')}; keepalive 256; keepalive_requests 1000000000; }`,
        server: names
          .map(
            (name) =>
              `location ~ ^/${name}/[^/]+/items/ { rewrite ^ /json break; proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection ""; }`,
          )
          .join('\n'),
      },
      { wrap: ['taskset', '-c', PROXY_CORE] },
    )
    variants[`nginx, ${count} locations (patterns)`] = {
      load: () => wrk(`http://127.0.0.1:${nginx.port}${path}`, ['-c64']),
      stop: nginx.stop,
    }
  }
  return ['### Routes with a pattern each, the last one asked for', '', await compare(variants), ''].join(
    '\n',
  )
}

/** @param {string} upstream */
async function encrypted(upstream) {
  const [cert, key] = [join(directory, 'cert.pem'), join(directory, 'key.pem')]
  execFileSync(
    'openssl',
    `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout ${key} -out ${cert}`.split(
      ' ',
    ),
    { stdio: 'ignore' },
  )
  const ours = await banyan(
    upstream,
    {},
    { listen: (port) => ({ address: port, tls: { certificates: [{ cert, key }] } }) },
  )
  const tlsPort = await freePort()
  const nginx = await start(
    'nginx',
    {
      http: `upstream u { server ${upstream.replace('http://', '')}; keepalive 256; keepalive_requests 1000000000; }
        server { listen 127.0.0.1:${tlsPort} ssl http2; ssl_certificate ${cert}; ssl_certificate_key ${key}; http2_max_concurrent_streams 256;
          location / { proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection ""; } }`,
    },
    { wrap: ['taskset', '-c', PROXY_CORE] },
  )
  /** @type {[string, string[]][]} */
  const kinds = [
    ['HTTP/2, 16 connections of 16 streams', ['-c16', '-m16']],
    ['HTTP/1.1, 64 connections', ['-c64', '--h1']],
  ]
  const sections = ['### TLS: 150 B JSON GET', '']
  for (const [about, args] of kinds) {
    const variants = {
      nginx: { load: () => h2load(`https://127.0.0.1:${tlsPort}/json`, args), stop: async () => undefined },
      banyan: {
        load: () => h2load(`https://127.0.0.1:${ours.port}/json`, args),
        stop: async () => undefined,
      },
    }
    sections.push(`${about}:`, '', await compare(variants, 'longest ms'), '')
  }
  await Promise.all([ours.stop(), nginx.stop()])
  return sections.join('\n')
}

/** @param {string} upstream */
async function workers(upstream) {
  /** @type {Record<string, Variant>} */
  const variants = {}
  for (const count of [1, 2]) {
    const { port, stop } = await banyan(upstream, { workers: count }, { cores: '0,1' })
    variants[`${count} worker${count > 1 ? 's' : ''}`] = {
      load: () => wrk(`http://127.0.0.1:${port}/json`, ['-c64'], '0,1'),
      stop,
    }
  }
  const about = 'Workers: everything, the load and the upstream too, on the same two cores'
  return [`### ${about}`, '', await compare(variants), ''].join('\n')
}

/** Memory in MB of a process. @param {number} pid */
function memoryOf(pid) {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
}

async function memory() {
  const rows = []
  // Takes everything and answers nothing.
  const silent = createServer((socket) => socket.on('error', () => undefined).resume())
  await new Promise((resolve) => silent.listen(0, '127.0.0.1', () => resolve(undefined)))
  const upstream = `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (silent.address()).port}`
  for (const count of [1_000, 5_000]) {
    const { port, pid, stop } = await banyan(upstream, { service: { maxConnections: 10_000 } })
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    const before = memoryOf(pid)
    const sockets = await Promise.all(
      Array.from(
        { length: count },
        () =>
          new Promise((resolve, reject) => {
            const socket = connect(port, '127.0.0.1', () => {
              // An upload that stays under way.
              socket.write('PUT /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nbeginning')
              resolve(socket)
            })
            socket.on('error', reject)
          }),
      ),
    )
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    const after = memoryOf(pid)
    rows.push([`${count}`, after.toFixed(0), (((after - before) * 1024) / count).toFixed(1)])
    for (const socket of sockets) socket.destroy()
    await stop()
  }
  silent.close()
  return [
    '### Memory with requests under way, each with a connection of its own on both sides',
    '',
    table(['requests', 'MB', 'kB each'], rows),
  ].join('\n')
}

export async function gateway() {
  const upstream = await startUpstream()
  const url = `http://127.0.0.1:${upstream.port}`
  try {
    const sections = ['## Gateway', '']
    for (const part of [features, routes, encrypted, workers, memory]) {
      console.error(`  ${part.name} ...`)
      sections.push(await part(url))
    }
    return sections.join('\n')
  } finally {
    await upstream.stop()
  }
}

if (process.argv[1] === import.meta.filename) {
  console.log(await gateway())
  process.exit(0)
}
