/**
 * The event log of a node: `hosted-log.ts` opens it and gives it to routes and operators, `known-types.ts` and
 * `retention.ts` are what can change meanwhile, `log-watch.ts` tells what it holds.
 */
import type { Runtime } from '../../core/runtime.js'
import type { Log } from '../log.js'
import type { EventsSpec } from '../spec.js'
import type { HostedLog, LogRole } from './hosted-log.js'

/**
 * Opens the log of a node. What that takes is loaded only then.
 *
 * @throws {@link BanyanError} with the code of the driver if it cannot be opened
 */
export async function hostLog(
  spec: EventsSpec,
  runtime: Runtime,
  write: Log,
  role: LogRole,
): Promise<HostedLog> {
  const { HostedLog } = await import('./hosted-log.js')
  return HostedLog.open(spec, runtime, write, role)
}
