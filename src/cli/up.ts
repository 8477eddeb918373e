import { isatty } from 'node:tty'
import v8 from 'node:v8'
import { systemClock } from '../core/clock.js'
import { loadConfig, type Loaded } from '../node/config/load.js'
import type { Trigger } from '../node/configuration.js'
import { Configurator } from '../node/configurator.js'
import { FileWatcher } from '../node/file-watcher.js'
import { surviveFaults } from '../node/faults.js'
import { createLog, type Log } from '../node/log.js'
import type { Door, Running } from '../node/control.js'
import { Node } from '../node/node.js'
import { hostResources } from '../node/resources/index.js'
import type { NodeSpec } from '../node/spec.js'
import { reportProblems } from './check.js'

/** `banyan up`. */
export async function up({ config, watch }: { config?: string; watch: boolean }): Promise<void> {
  // V8 moves objects it takes for long-lived straight to its old space; per-request objects taken for such under load
  // make every minor collection ten times as long. Must be said before the request path is compiled.
  v8.setFlagsFromString('--no-allocation-site-pretenuring')

  const loaded = await loadConfig(config)
  if (!loaded.ok) {
    reportProblems(loaded.problems)
    process.exitCode = 1
    return
  }
  const log = createLog(process.stderr, systemClock)
  for (const { message, line } of loaded.warnings)
    log('warn', message, line === undefined ? {} : { at: `${loaded.file}:${line}` })
  const node = await create(loaded.spec, loaded.file, log)
  // Before the start, too: from then on there must be somebody to take signals and requests.
  const resources = loaded.spec.resources && (await hostResources(node, loaded, log))
  const hurry = new AbortController()
  let started = Promise.resolve()
  let stopping = false
  const stop = (signal: NodeJS.Signals): void => {
    if (stopping) {
      hurry.abort()
      return
    }
    stopping = true
    log(
      'info',
      `${signal}: finishing requests in flight${process.stderr.isTTY ? ' (again to end at once)' : ''}`,
    )
    const stopped = started.then(() => resources?.close()).then(() => node.stop(hurry.signal))
    const goodbye = (): void => {
      log('info', 'stopped')
      changes.close()
      process.off('SIGINT', stop).off('SIGTERM', stop)
      // Everything of ours is over; what an exporter still tries to send must not keep the process.
      process.exit()
    }
    stopped.then(goodbye, goodbye)
  }
  // Before the start: a signal in the middle of it must not leave things half done either.
  process.on('SIGINT', stop).on('SIGTERM', stop)
  started = node.start()
  if (resources) void started.then(() => resources.begin()).catch(() => undefined)
  // From here on others depend on us.
  started.then(() => surviveFaults(log)).catch(() => undefined)
  const hungUp = (): void => stop('SIGHUP')
  const changes = takeChanges(node, started, { loaded, resources, watch, log, hungUp })
  await started.catch((error: unknown) => {
    changes.close()
    process.off('SIGINT', stop).off('SIGTERM', stop)
    throw error
  })
}

/** One process, or several under a supervisor. */
async function create(spec: NodeSpec, file: string, log: Log): Promise<Running> {
  const origin = { by: 'start', file } as const
  if ((spec.workers ?? 1) === 1) return Node.create(spec, log, systemClock, origin)
  const { Supervisor } = await import('../node/workers/supervisor.js')
  return new Supervisor(spec, log, systemClock, origin)
}

/** Brings the node what is asked for while it runs: by SIGHUP, by a change of the files, by the admin listener. */
function takeChanges(
  node: Running,
  started: Promise<void>,
  {
    loaded,
    resources,
    watch,
    log,
    hungUp,
  }: {
    loaded: Loaded
    /** Where what the file says goes first. */
    resources: Door | undefined
    watch: boolean
    log: Log
    /** Called when the terminal that it was started on is gone. */
    hungUp: () => void
  },
): { close(): void } {
  const configurator = new Configurator(node, loaded.file, resources)
  node.controlledBy(configurator)
  const reload = (by: Trigger): void => {
    const nothing = (): void => undefined
    void started.then(() => configurator.reload(by), nothing)
  }
  const onTerminal = isatty(process.stderr.fd)
  const onSignal = (): void => {
    // The signal's first meaning: without it, whoever closes a terminal would leave a node behind.
    if (onTerminal && !isatty(process.stderr.fd)) {
      hungUp()
      return
    }
    node.reopenLogs()
    reload('signal')
  }
  process.on('SIGHUP', onSignal)
  const watcher = new FileWatcher(
    systemClock,
    () => reload('watch'),
    ({ message }) => log('warn', `changes of the configuration are not noticed: ${message}`),
  )
  if (watch) {
    watcher.watch(loaded.files)
    configurator.onRead = (files) => watcher.watch(files)
  }
  return {
    close() {
      process.off('SIGHUP', onSignal)
      watcher.close()
    },
  }
}
