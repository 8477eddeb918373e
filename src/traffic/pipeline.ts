import { invoke, start, type CallOptions, type Handler, type Policy, type Work } from './policy.js'

/** What the given policies may return besides the work's own result. */
type AlternativeOf<Policies extends readonly Policy<unknown>[]> =
  Policies[number] extends Policy<infer A> ? A : never

/**
 * Puts policies around each other, the first outermost. The pipeline is a policy itself, and can stand in another.
 *
 * The recommended order, from the outside in; leave out what you do not need:
 *
 * `fallback > timeout (the whole call) > rateLimit > retry > hedge > circuitBreaker > bulkhead > timeout (each try)`
 *
 * - `fallback` outermost, so that it answers for every refusal below.
 * - A `timeout` outside `retry` is the caller's deadline; one inside bounds each try.
 * - `rateLimit` outside `retry`: a limit counts what the client asked for, not what we repeat.
 * - `circuitBreaker` inside `retry`: every try counts, and an open breaker ends the retries.
 * - `bulkhead` inside the breaker: a full bulkhead says nothing about the health of what is called, and the breaker
 *   does not count it.
 *
 * The layers are joined once, when the pipeline is made; a call allocates nothing per layer for that.
 *
 * @param policies - outermost first
 */
export function pipeline<const Policies extends readonly Policy<unknown>[]>(
  ...policies: Policies
): Policy<AlternativeOf<Policies>> {
  const wrap = <T>(next: Handler<T>): Handler<T | AlternativeOf<Policies>> =>
    policies.reduceRight<Handler>((inner, policy) => policy.wrap(inner), next) as Handler<
      T | AlternativeOf<Policies>
    >
  const run = wrap(invoke)
  return {
    name: policies.map(({ name }) => name).join(' > '),
    wrap,
    execute: <T>(work: Work<T>, options?: CallOptions) =>
      start(run as Handler<T | AlternativeOf<Policies>>, work, options),
  }
}
