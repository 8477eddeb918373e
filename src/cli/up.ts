import v8 from 'node:v8'
import { systemClock } from '../core/clock.js'
import { loadConfig } from '../node/config/load.js'
import { createLog } from '../node/log.js'
import { Node } from '../node/node.js'
import { reportProblems } from './check.js'

/** `banyan up`. */
export async function up({ config }: { config?: string }): Promise<void> {
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
  const node = await Node.create(loaded.spec, log)
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
    const stopped = started.then(() => node.stop(hurry.signal))
    const goodbye = (): void => {
      log('info', 'stopped')
      process.off('SIGINT', stop).off('SIGTERM', stop)
    }
    stopped.then(goodbye, goodbye)
  }
  // Before the start: a signal in the middle of it must not leave things half done either.
  process.on('SIGINT', stop).on('SIGTERM', stop)
  started = node.start()
  await started.catch((error: unknown) => {
    process.off('SIGINT', stop).off('SIGTERM', stop)
    throw error
  })
}
