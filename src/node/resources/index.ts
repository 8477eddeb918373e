/**
 * The entries of a configuration as resources: `resources-of.ts` and `config-of.ts` turn one into the other, `file-door.ts` brings
 * what the file says to the store, `composer.ts` brings what the store has to the node, `hosted-resources.ts` does both for a node and
 * tells each resource what has become of it; `presence.ts` knows which nodes have a process.
 */
import type { Loaded } from '../config/load.js'
import type { Running } from '../control.js'
import type { Log } from '../log.js'
import type { HostedResources } from './hosted-resources.js'

/**
 * Runs what the resources say that belong to a node, once it has begun. What that takes is loaded only then.
 *
 * @param loaded - the file that the node was started from
 */
export async function hostResources(
  node: Running,
  loaded: Loaded & { ok: true },
  log: Log,
): Promise<HostedResources> {
  const { HostedResources } = await import('./hosted-resources.js')
  return new HostedResources({ node, loaded, log, env: process.env })
}
