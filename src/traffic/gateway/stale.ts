import type { Counter } from '../../core/telemetry.js'
import type { Runtime } from '../../core/runtime.js'
import { definePolicy, type Call, type Handler, type IsFailure, type Policy } from '../policy.js'
import type { UpstreamAnswer } from './answer.js'
import type { Forwarding } from './forwarding.js'
import type { OutgoingWork } from './outgoing-work.js'
import { selectingFields, Variants, type Sent } from './semantics/variants.js'

/** Bounds of what is kept: bytes of one answer, and answers. */
const ANSWER_BYTES = 64 * 1024
const ANSWERS = 1_000

interface Kept {
  answer: UpstreamAnswer
  at: number
}

/**
 * Gives the last good answer to the same GET again when there is no new one (RFC 5861 `stale-if-error`, decided by
 * the operator). Only answers that anybody may see are kept: to requests without credentials, not marked private
 * or no-store, at most 64 kB each, the 1,000 used last; and only to requests that say the same in the fields which
 * the answer varies with.
 *
 * @param staleFor - ms; older answers are not given
 */
export function staleAnswers(staleFor: number, name: string, runtime: Runtime, isFailure: IsFailure): Policy {
  const kept = new Map<string, Variants<Kept>>()
  let count = 0
  const { clock } = runtime
  const used: Counter = runtime.telemetry.counter('banyan.fallback.stale', {
    description: 'Answers given again because there was no new one.',
    unit: '{answer}',
    attributes: { 'banyan.policy': name },
  })

  const recall = (key: string | undefined, sent: Sent): UpstreamAnswer | undefined => {
    const entry = key === undefined ? undefined : kept.get(key)?.find(sent)
    if (!entry || clock.now() - entry.at > staleFor) return undefined
    used.add(1)
    return entry.answer.copy()
  }

  const keep = (key: string, names: readonly string[], sent: Sent, answer: UpstreamAnswer): void => {
    const variants = kept.get(key) ?? new Variants<Kept>()
    count += 1 - variants.put(names, sent, { answer, at: clock.now() }).length
    kept.delete(key)
    kept.set(key, variants)
    while (count > ANSWERS) {
      const [oldest, gone] = kept.entries().next().value!
      kept.delete(oldest)
      count -= gone.size
    }
  }

  return definePolicy(name, <T>(next: Handler<T>) => async (call: Call): Promise<T> => {
    const key = keyOf(call)
    const work = call.subject as OutgoingWork
    const sent: Sent = (lower) => work.sent(lower)
    let answer: T
    try {
      answer = await next(call)
    } catch (error) {
      const stale = isFailure(error, undefined) && !call.cancelled ? recall(key, sent) : undefined
      if (stale) return stale as T
      throw error
    }
    const fresh = answer as unknown as UpstreamAnswer
    if (isFailure(undefined, fresh)) {
      const stale = recall(key, sent)
      if (!stale) return answer
      fresh.open().discard()
      return stale as T
    }
    const names = key !== undefined && isShareable(fresh) ? selectingFields(fresh.fields) : undefined
    if (key !== undefined && names && (await fresh.store(ANSWER_BYTES))) keep(key, names, sent, fresh.copy())
    return answer
  })
}

/** Requests whose answer is the same for everybody, as far as can be seen. */
function keyOf(call: Call): string | undefined {
  const { request, identity } = call.subject as OutgoingWork & Partial<Pick<Forwarding, 'identity'>>
  const { fields } = request
  // Whoever is known, by a certificate or a key in any field, gets an answer of their own.
  if (request.method !== 'GET' || identity !== undefined) return undefined
  for (const credential of ['authorization', 'cookie', 'range'])
    if (fields.get(credential) !== undefined) return undefined
  return `${request.host} ${request.target} ${fields.get('accept') ?? ''} ${fields.get('accept-encoding') ?? ''}`
}

function isShareable(answer: UpstreamAnswer): boolean {
  const { status, fields } = answer
  if (status !== 200 || fields.get('set-cookie') !== undefined) return false
  return !/\b(?:private|no-store)\b/i.test(fields.get('cache-control') ?? '')
}
