import { bytes } from '../../../core/bytes.js'
import { duration } from '../../../core/duration.js'
import { BanyanError } from '../../../core/errors.js'
import { definePolicy, type Call, type Handler } from '../../policy.js'
import type { UpstreamAnswer } from '../answer.js'
import type { Filter, RouteContext } from '../filter.js'
import type { Forwarding } from '../forwarding.js'
import { RouteCache } from './cache/route-cache.js'
import { MemoryStore } from './cache/store.js'
import type { CacheSpec } from './cache/spec.js'

const MB = 1024 * 1024

/**
 * A shared HTTP cache (RFC 9111) in memory. What is kept is decided by what the service says; many requests for the
 * same thing become one.
 *
 * @param compresses - whether the route compresses answers itself: then only answers without a coding are kept
 */
export function cache(spec: CacheSpec | true, { route, runtime }: RouteContext, compresses: boolean): Filter {
  const options = spec === true ? {} : spec
  const most = bytes(options.bytes ?? '64MB', 'bytes')
  const entryBytes =
    options.entryBytes === undefined ? Math.min(MB, most / 4) : bytes(options.entryBytes, 'entryBytes')
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
