// @ts-check
/**
 * Real servers for tests and benchmarks: installs them where they are missing, starts them on free loopback ports
 * with throwaway data, waits until they answer, and stops them.
 *
 * As a command: `node scripts/engines.mjs ensure nginx wrk`.
 */
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'

/**
 * @typedef {object} Engine
 * @property {string} command looked for to know whether it is there
 * @property {string} packageName Debian package that brings it
 * @property {((directory: string, port: number, options: Record<string, string>) => { files: Record<string, string>, args: string[] })} [start]
 */

/** @type {Record<string, Engine>} */
const ENGINES = {
  nginx: {
    command: 'nginx',
    packageName: 'nginx-light',
    start: (directory, port, { server = 'location / { return 200 "ok"; }', http = '' }) => ({
      files: {
        'nginx.conf': `
          worker_processes 1;
          daemon off;
          master_process off;
          pid ${directory}/nginx.pid;
          error_log ${directory}/error.log;
          events { worker_connections 16384; }
          http {
            access_log off;
            keepalive_requests 1000000000;
            client_body_temp_path ${directory}/body;
            client_max_body_size 1g;
            proxy_temp_path ${directory}/proxy;
            fastcgi_temp_path ${directory}/fastcgi;
            uwsgi_temp_path ${directory}/uwsgi;
            scgi_temp_path ${directory}/scgi;
            ${http}
            server { listen 127.0.0.1:${port} backlog=4096; root ${directory}; ${server} }
          }`,
      },
      args: ['-p', directory, '-c', join(directory, 'nginx.conf'), '-e', join(directory, 'error.log')],
    }),
  },
  gunicorn: {
    command: 'gunicorn',
    packageName: 'gunicorn',
    start: (directory, port, { application = 'application' }) => ({
      files: {},
      args: [
        ...[
          '--chdir',
          directory,
          '--bind',
          `127.0.0.1:${port}`,
          '--backlog',
          '2048',
          '--log-level',
          'critical',
        ],
        ...['--worker-class', 'gthread', '--threads', '16', '--keep-alive', '60', application],
      ],
    }),
  },
  wrk: { command: 'wrk', packageName: 'wrk' },
  curl: { command: 'curl', packageName: 'curl' },
  h2load: { command: 'h2load', packageName: 'nghttp2-client' },
  openssl: { command: 'openssl', packageName: 'openssl' },
}

/** @param {string} command */
function find(command) {
  const places = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  return places.map((place) => join(place, command)).find((path) => existsSync(path))
}

/** @param {string} name */
function engineOf(name) {
  const engine = ENGINES[name]
  if (!engine) throw new Error(`unknown engine ${name}; known are ${Object.keys(ENGINES).join(', ')}`)
  return engine
}

/**
 * Installs an engine if it is not there.
 *
 * @param {string} name
 * @returns {string} path of its command
 */
export function ensure(name) {
  const { command, packageName } = engineOf(name)
  const known = find(command)
  if (known) return known
  const sudo = process.getuid?.() === 0 ? [] : ['sudo', '-n']
  /** @param {string[]} args */
  const apt = (...args) => {
    const [program = 'apt-get', ...rest] = [...sudo, 'apt-get', ...args]
    execFileSync(program, rest, {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    })
  }
  try {
    apt('update', '-qq')
    apt('install', '-y', '-qq', '--no-install-recommends', packageName)
  } catch (error) {
    throw new Error(
      `${command} is needed and could not be installed; install the package ${packageName} by hand`,
      { cause: error },
    )
  }
  const installed = find(command)
  if (!installed) throw new Error(`the package ${packageName} brought no ${command}`)
  return installed
}

/**
 * Starts an engine.
 *
 * @param {string} name
 * @param {Record<string, string>} [options] of the engine
 * @param {{ port?: number, files?: Record<string, string | Buffer>, wrap?: string[] }} [more] a port instead of a free
 *   one; files to put into its directory; a command to run it under
 * @returns {Promise<{ port: number, directory: string, pid: number, stop: () => Promise<void> }>}
 */
export async function start(name, options = {}, more = {}) {
  const engine = engineOf(name)
  if (!engine.start) throw new Error(`${name} is not a server`)
  const path = ensure(name)
  const directory = mkdtempSync(join(tmpdir(), `banyan-${name}-`))
  const port = more.port ?? (await freePort())
  const { files, args } = engine.start(directory, port, options)
  for (const [file, content] of Object.entries({ ...files, ...more.files }))
    writeFileSync(join(directory, file), content)
  const [program = path, ...rest] = [...(more.wrap ?? []), path, ...args]
  const child = spawn(program, rest, { stdio: ['ignore', 'ignore', 'inherit'] })
  const ended = new Promise((resolve) => child.once('exit', resolve))
  const stop = async () => {
    child.kill('SIGKILL')
    await ended
    rmSync(directory, { recursive: true, force: true })
  }
  const started = await Promise.race([answers(port), ended.then(() => false)])
  if (!started) {
    await stop()
    throw new Error(`${name} did not start on port ${port}`)
  }
  return { port, directory, pid: child.pid ?? 0, stop }
}

/** @returns {Promise<number>} */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}

/**
 * Waits until somebody accepts connections.
 *
 * @param {number} port
 * @returns {Promise<boolean>} false if nobody does within 20 s
 */
async function answers(port) {
  const until = performance.now() + 20_000
  while (performance.now() < until) {
    const accepted = await new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1')
      socket.once('connect', () => {
        socket.destroy()
        resolve(true)
      })
      socket.once('error', () => resolve(false))
    })
    if (accepted) return true
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return false
}

if (process.argv[1] === import.meta.filename) {
  const [action, ...names] = process.argv.slice(2)
  if (action !== 'ensure' || names.length === 0) {
    console.error(`usage: node scripts/engines.mjs ensure ${Object.keys(ENGINES).join('|')} ...`)
    process.exit(2)
  }
  for (const name of names) console.log(`${name}: ${ensure(name)}`)
}
