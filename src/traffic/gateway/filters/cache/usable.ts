import type { Forwarding } from '../../forwarding.js'
import type { CachedAnswer } from './cached-answer.js'
import type { Demands } from './rules.js'

export function isFreshEnough(kept: CachedAnswer, demands: Demands, now: number): boolean {
  if (demands.noCache) return false
  return kept.timeLeft(now) > demands.minFresh && kept.age(now) <= demands.maxAge
}

/** Whether a client has said more than "whatever there is". */
export function isStrict({ noCache, maxAge, minFresh }: Demands): boolean {
  return noCache || maxAge !== Infinity || minFresh > 0
}

export function mayHelpOut(kept: CachedAnswer, demands: Demands, now: number): boolean {
  return !demands.noCache && kept.timeLeft(now) + kept.freshness.staleIfError > 0
}

/** Statuses by which a service says that it has failed (RFC 5861 4). */
export function isFailure(status: number): boolean {
  return status === 500 || status === 502 || status === 503 || status === 504
}

/** Asks only whether what is kept still holds. Returns false if there is nothing to ask by. */
export function validate(forwarding: Forwarding, { validators, fields }: CachedAnswer): boolean {
  const modified = fields.get('last-modified')
  unconditional(forwarding)
  if (validators.etag !== undefined) forwarding.setField('If-None-Match', validators.etag)
  if (modified !== undefined) forwarding.setField('If-Modified-Since', modified)
  return validators.etag !== undefined || modified !== undefined
}

export function unconditional(forwarding: Forwarding): false {
  for (const name of ['If-None-Match', 'If-Modified-Since'])
    if (forwarding.sent(name.toLowerCase()) !== undefined) forwarding.removeField(name)
  return false
}
