import { bytes, type Bytes } from '../../../core/bytes.js'
import { duration, type Duration } from '../../../core/duration.js'
import { BanyanError } from '../../../core/errors.js'
import { definePolicy, type Call, type Handler } from '../../policy.js'
import type { UpstreamAnswer } from '../answer.js'
import type { Filter, RouteContext } from '../filter.js'
import type { Forwarding } from '../forwarding.js'
import { RouteCache } from './cache/route-cache.js'
import { MemoryStore } from './cache/store.js'

/** Keeps answers that may be given again. */
export interface CacheSpec {
  /** Memory for kept answers. Answers that are being received may take a quarter of it besides. Default `'64MB'`. */
  bytes?: Bytes
  /** Longest body that is kept. Default `'1MB'`. */
  entryBytes?: Bytes
  /** How long answers are fresh that neither allow nor forbid to be kept. Default: those are not kept. */
  defaultTtl?: Duration
  /** How long stale answers are given while a new one is asked for, where they do not say. Default 0. */
  staleWhileRevalidate?: Duration
  /** How long stale answers are given if the service fails, where they do not say. Default 0. */
  staleIfError?: Duration
  /** Whether a client's `no-cache`, `max-age` and the like are passed over, so that a reload costs nothing. Default false. */
  ignoreClients?: boolean
  /** Most requests that wait for one fetch of what they all want; those beyond ask for themselves. Default 1000. */
  waiters?: number
  /** How long each of them waits before it asks for itself. Default `'5s'`. */
  waitFor?: Duration
}

/**
 * A shared HTTP cache (RFC 9111) in memory. What is kept is decided by what the service says; many requests for the
 * same thing become one.
 *
 * @param compresses - whether the route compresses answers itself: then only answers without a coding are kept
 */
export function cache(spec: CacheSpec | true, { route, runtime }: RouteContext, compresses: boolean): Filter {
  const options = spec === true ? {} : spec
  const most = bytes(options.bytes ?? '64MB', 'bytes')
  const entryBytes = bytes(options.entryBytes ?? '1MB', 'entryBytes')
  if (entryBytes > most / 4)
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `routes.${route}.cache.entryBytes must be a quarter of \`bytes\` at most`,
    )
  const evictions = runtime.telemetry.counter('banyan.cache.evictions', {
    description: 'Answers that were forgotten to make room.',
    unit: '{answer}',
    attributes: { 'banyan.route': route },
  })
  const kept = new RouteCache(
    new MemoryStore(most, (answers) => evictions.add(answers)),
    {
      defaults: {
        ttl: options.defaultTtl === undefined ? undefined : duration(options.defaultTtl, 'defaultTtl'),
        staleWhileRevalidate: duration(options.staleWhileRevalidate ?? 0, 'staleWhileRevalidate'),
        staleIfError: duration(options.staleIfError ?? 0, 'staleIfError'),
      },
      entryBytes,
      receivingBytes: most / 4,
      honoursClients: options.ignoreClients !== true,
      waiters: options.waiters ?? 1000,
      waitFor: duration(options.waitFor ?? '5s', 'waitFor'),
      identityOnly: compresses,
    },
    route,
    runtime,
  )
  const filter = definePolicy<UpstreamAnswer>(
    `${route} cache`,
    <T>(next: Handler<T>) =>
      (call: Call) =>
        kept.serve(call.subject as Forwarding, next as unknown as Handler<UpstreamAnswer>, call),
  )
  return { ...filter, purge: (which) => kept.purge(which) }
}
