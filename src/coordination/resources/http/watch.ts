import type { HandlerAnswer, HandlerRequest } from '../../../core/http-handler.js'
import type { WatchResourcesOptions } from '../api.js'
import { matchOf } from '../selectors/selection.js'
import { parseVersion } from '../store/listing.js'
import { streamed } from './answer.js'
import { eventLine } from './encoded-events.js'
import type { WatchRequest } from './parameters.js'
import type { Presentation } from './presentation.js'
import type { Surroundings } from './surroundings.js'
import type { CollectionTarget } from './target.js'

/** Who does not say for how long it watches, does so for this long at least, in ms, and up to twice as long: as with Kubernetes. */
const LEAST_WATCH = 30 * 60 * 1000

/**
 * What happens to resources, one line of JSON each. Nothing is queued for a client: the next event is taken when it has taken the
 * one before, and if it is too late for that, it is told to list again.
 *
 * @throws 400 for what can be seen to be wrong at once; the rest is an event `ERROR`
 */
export async function watchAnswer(
  request: HandlerRequest,
  { kind, namespace }: CollectionTarget,
  { timeoutSeconds, fromNow, ...asked }: WatchRequest,
  presentation: Presentation,
  around: Surroundings,
): Promise<HandlerAnswer> {
  const { api, runtime, closing, encoded, meter } = around
  matchOf(kind, asked)
  if (asked.resourceVersion !== undefined) parseVersion(asked.resourceVersion)
  const options: WatchResourcesOptions = { ...asked }
  if (fromNow) {
    const { metadata } = await api.list(kind, { ...(namespace !== undefined && { namespace }), limit: 1 })
    options.resourceVersion = metadata.resourceVersion
  }

  async function* lines(): AsyncGenerator<Buffer> {
    const over = new AbortController()
    const end = (): void => over.abort()
    const { clock, random } = runtime
    const lasts = timeoutSeconds ? timeoutSeconds * 1000 : LEAST_WATCH * (1 + random.next())
    const timer = clock.schedule(clock.now() + lasts, end)
    for (const signal of [request.signal, closing]) {
      if (signal.aborted) end()
      signal.addEventListener('abort', end)
    }
    meter.watches(1)
    let isFirst = true
    try {
      for await (const { type, object } of api.watch(kind, { ...options, signal: over.signal })) {
        if (type === 'BOOKMARK' && !asked.allowWatchBookmarks) continue
        yield presentation.form === 'object' && type !== 'BOOKMARK'
          ? encoded.line(type, object)
          : eventLine(type, presentation.event(object, isFirst))
        isFirst = false
      }
    } catch (error) {
      yield eventLine('ERROR', around.statusOf(error))
    } finally {
      meter.watches(-1)
      timer.cancel()
      for (const signal of [request.signal, closing]) signal.removeEventListener('abort', end)
    }
  }
  return streamed(lines())
}
