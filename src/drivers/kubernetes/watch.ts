import type { IncomingMessage } from 'node:http'
import { backoffWait, type Growth } from '../../core/backoff.js'
import { sleep } from '../../core/clock.js'
import { BanyanError } from '../../core/errors.js'
import type { ListOptions, ResourceEvent, WatchResourcesOptions } from '../../coordination/resources/api.js'
import type { ResourceDefinition } from '../../coordination/resources/define.js'
import type { ResourceList } from '../../coordination/resources/object.js'
import type { Ask, Connection } from './connection.js'
import { linesOf } from './lines.js'
import { collectionPath, selectionQuery } from './paths.js'
import { refusalOf } from './status.js'

/** A server ends a watch after 5 to 10 minutes, as other clients have it: so they come back to all servers evenly. */
const SHORTEST_S = 300
const REOPENING: Growth = { base: 100, factor: 2, max: 5000 }
const INITIAL_EVENTS_END = 'k8s.io/initial-events-end'

/** Lists resources of the kind. */
type List = (options: ListOptions) => Promise<ResourceList>

/** What a line of a watch says. */
type WatchEvent = ResourceEvent | { readonly type: 'ERROR'; readonly object: { readonly code?: number } }

/**
 * See `ResourceApi.watch`. What there is comes from a list, and not from the watch itself: a watch that breaks off in the middle of
 * it could not be gone on with. Bookmarks are always asked for, so that a watch of what seldom changes can be.
 */
export async function* watchOver(
  connection: Connection,
  list: List,
  kind: ResourceDefinition,
  options: WatchResourcesOptions,
): AsyncGenerator<ResourceEvent, void> {
  const { clock, random } = connection.runtime
  const { sendInitialEvents = false, allowWatchBookmarks = false } = options
  const signal = options.signal ? AbortSignal.any([options.signal, connection.closing]) : connection.closing
  try {
    let version = options.resourceVersion ?? ''
    if (beginsWithList(options)) {
      const { items, metadata } = await list(listOf(options))
      for (const object of items) yield { type: 'ADDED', object }
      version = metadata.resourceVersion
      if (sendInitialEvents) yield bookmark(kind, version, { [INITIAL_EVENTS_END]: 'true' })
    }
    for (let failures = 1; ; failures++) {
      const ask = askFor(kind, options, version, random.next())
      const response = await connection.open(ask, signal)
      for await (const event of eventsOf(response, `watch of ${ask.path}`, signal)) {
        failures = 0
        version = event.object.metadata.resourceVersion
        if (event.type !== 'BOOKMARK') yield event
        else if (allowWatchBookmarks) yield bookmark(kind, version)
      }
      // A server that ends it at once is not to be asked without end.
      if (failures > 0) await sleep(clock, backoffWait(REOPENING, failures, 'equal', random), signal)
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

/** Otherwise only what comes behind a version is wanted. */
function beginsWithList({
  resourceVersion = '0',
  sendInitialEvents = false,
}: WatchResourcesOptions): boolean {
  return resourceVersion === '0' || sendInitialEvents
}

function listOf(options: WatchResourcesOptions): ListOptions {
  const { namespace, labelSelector, fieldSelector, resourceVersion } = options
  return {
    ...(namespace !== undefined && { namespace }),
    ...(labelSelector !== undefined && { labelSelector }),
    ...(fieldSelector !== undefined && { fieldSelector }),
    ...(resourceVersion !== undefined && { resourceVersion }),
  }
}

/** @param chance - in [0, 1) */
function askFor(
  kind: ResourceDefinition,
  options: WatchResourcesOptions,
  resourceVersion: string,
  chance: number,
): Ask {
  return {
    method: 'GET',
    path: collectionPath(kind, options.namespace),
    query: {
      ...selectionQuery(options),
      watch: true,
      allowWatchBookmarks: true,
      resourceVersion,
      timeoutSeconds: Math.round(SHORTEST_S * (1 + chance)),
    },
  }
}

/**
 * Ends with the answer, whether that is complete or broken off: from the version of its last event another one goes on.
 *
 * @throws what the server says is wrong
 */
async function* eventsOf(
  response: IncomingMessage,
  what: string,
  signal: AbortSignal,
): AsyncGenerator<ResourceEvent, void> {
  const leave = (): void => void response.destroy()
  signal.addEventListener('abort', leave, { once: true })
  try {
    for await (const line of linesOf(response)) {
      const event = parsed(line)
      if (!event) return
      if (event.type !== 'ERROR') yield event
      else throw refusalOf({ status: event.object.code ?? 500, body: event.object }, what, false)
    }
  } catch (error) {
    if (error instanceof BanyanError) throw error
  } finally {
    signal.removeEventListener('abort', leave)
  }
}

/** Undefined if the line is damaged. */
function parsed(line: string): WatchEvent | undefined {
  try {
    return JSON.parse(line) as WatchEvent
  } catch {
    return undefined
  }
}

function bookmark(
  { apiVersion, kind }: ResourceDefinition,
  resourceVersion: string,
  annotations?: Readonly<Record<string, string>>,
): ResourceEvent {
  return {
    type: 'BOOKMARK',
    object: { apiVersion, kind, metadata: { resourceVersion, ...(annotations && { annotations }) } },
  }
}
