/**
 * Several workers' states as one: what a node with one worker would say that did the work of all.
 *
 * Counts and rates add up; latencies, shares and times are the worst of all; a breaker is shown as the worker sees it
 * for which it is worst, since its numbers belong together; everything else is the same everywhere.
 */
export function mergeStates<S>(states: readonly S[]): S {
  return merge(states, '') as S
}

/** Numbers that do not add up: the largest is told. */
const LARGEST = new Set([
  'p50',
  'p99',
  'failureRate',
  'weight',
  'uptime',
  'limit',
  'window',
  'keys',
  'share',
  'slowStart',
  'generation',
  'retryAfter',
  'expiresIn',
  'doubted',
  'since',
])

/** From the best to the worst. */
const BREAKER_STATES = ['disabled', 'closed', 'half-open', 'open', 'forced-open']

function merge(values: readonly unknown[], key: string): unknown {
  const known = values.filter((value) => value !== undefined && value !== null)
  const [first] = known
  if (first === undefined) return values[0]
  if (key === 'breaker') return mergeBreakers(known as { state: string }[])
  if (typeof first === 'number') {
    const numbers = known as number[]
    return LARGEST.has(key) || key.endsWith('At')
      ? Math.max(...numbers)
      : numbers.reduce((sum, each) => sum + each, 0)
  }
  // Ready while one of them is.
  if (typeof first === 'boolean') return known.includes(true)
  if (Array.isArray(first)) return mergeLists(known as unknown[][])
  if (typeof first === 'object') return mergeObjects(known as Record<string, unknown>[])
  return first
}

function mergeObjects(objects: readonly Record<string, unknown>[]): Record<string, unknown> {
  const keys = new Set(objects.flatMap((each) => Object.keys(each)))
  return Object.fromEntries(
    Array.from(keys, (key) => [
      key,
      merge(
        objects.map((each) => each[key]),
        key,
      ),
    ]),
  )
}

/** Entries that have a name of their own are merged by it; of other lists, the longest. */
function mergeLists(lists: readonly unknown[][]): unknown[] {
  const urlOf = (entry: unknown): unknown => (entry as { url?: unknown } | undefined)?.url
  if (lists.some((list) => list.some((entry) => urlOf(entry) === undefined)))
    return lists.reduce((longest, list) => (list.length > longest.length ? list : longest))
  const urls = new Set(lists.flatMap((list) => list.map(urlOf)))
  return Array.from(urls, (url) =>
    merge(
      lists.map((list) => list.find((entry) => urlOf(entry) === url)),
      '',
    ),
  )
}

/** The breaker of the worker that it is worst for. */
export function mergeBreakers<B extends { state: string }>(breakers: readonly B[]): B {
  const rank = ({ state }: B): number => BREAKER_STATES.indexOf(state)
  return breakers.reduce((worst, each) => (rank(each) > rank(worst) ? each : worst))
}

/** Gauges that do not add up. */
const GAUGES: Readonly<Record<string, 'max' | 'min'>> = {
  banyan_circuit_breaker_state: 'max',
  // Those that stand by know of no lag.
  banyan_projection_lag_seconds: 'max',
  banyan_cdc_lag_seconds: 'max',
  banyan_cdc_retained_bytes: 'max',
  banyan_tls_certificate_expiry_seconds: 'min',
}

/**
 * Metrics of several processes for `AggregatorRegistry.aggregate`: those that the supervisor has too are its own.
 *
 * @param own - the supervisor's
 * @param lists - each worker's
 */
export function mergeMetrics(own: readonly object[], lists: readonly object[][]): object[] {
  const nameOf = (metric: object): string => (metric as { name: string }).name
  const ours = new Set(own.map(nameOf))
  const theirs = lists.map((list) =>
    list
      .filter((metric) => !ours.has(nameOf(metric)))
      .map((metric) => ({
        ...metric,
        ...(GAUGES[nameOf(metric)] ? { aggregator: GAUGES[nameOf(metric)] } : {}),
      })),
  )
  return [...theirs, [...own]]
}
