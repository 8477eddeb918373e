import type { Counter } from '../../core/telemetry.js'
import type { Runtime } from '../../core/runtime.js'
import { definePolicy, type Call, type Handler, type IsFailure, type Policy } from '../policy.js'
import type { UpstreamAnswer } from './answer.js'
import type { OutgoingWork } from './outgoing-work.js'

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
 * or no-store, at most 64 kB each, the 1,000 used last.
 *
 * @param staleFor - ms; older answers are not given
 */
export function staleAnswers(staleFor: number, name: string, runtime: Runtime, isFailure: IsFailure): Policy {
  const kept = new Map<string, Kept>()
  const { clock } = runtime
  const used: Counter = runtime.telemetry.counter('banyan.fallback.stale', {
    description: 'Answers given again because there was no new one.',
    unit: '{answer}',
    attributes: { 'banyan.policy': name },
  })

  const recall = (key: string | undefined): UpstreamAnswer | undefined => {
    const entry = key === undefined ? undefined : kept.get(key)
    if (!entry || clock.now() - entry.at > staleFor) return undefined
    used.add(1)
    return entry.answer
  }

  return definePolicy(name, <T>(next: Handler<T>) => async (call: Call): Promise<T> => {
    const key = keyOf(call)
    let answer: T
    try {
      answer = await next(call)
    } catch (error) {
      const stale = isFailure(error, undefined) && !call.cancelled ? recall(key) : undefined
      if (stale) return stale as T
      throw error
    }
    const fresh = answer as unknown as UpstreamAnswer
    if (isFailure(undefined, fresh)) {
      const stale = recall(key)
      if (!stale) return answer
      fresh.open().discard()
      return stale as T
    }
    if (key !== undefined && isShareable(fresh) && (await fresh.store(ANSWER_BYTES))) {
      kept.delete(key)
      kept.set(key, { answer: fresh, at: clock.now() })
      if (kept.size > ANSWERS) kept.delete(kept.keys().next().value!)
    }
    return answer
  })
}

/** Requests whose answer is the same for everybody, as far as can be seen. */
function keyOf(call: Call): string | undefined {
  const { request } = call.subject as OutgoingWork
  const { fields } = request
  if (request.method !== 'GET') return undefined
  for (const credential of ['authorization', 'cookie', 'range'])
    if (fields.get(credential) !== undefined) return undefined
  return `${request.host} ${request.target} ${fields.get('accept') ?? ''} ${fields.get('accept-encoding') ?? ''}`
}

function isShareable(answer: UpstreamAnswer): boolean {
  const { status, fields } = answer
  if (status !== 200 || fields.get('set-cookie') !== undefined) return false
  return !/\b(?:private|no-store)\b/i.test(fields.get('cache-control') ?? '')
}
