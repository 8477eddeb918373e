import type { HandlerAnswer, HandlerRequest } from '../../core/http-handler.js'
import type { EventLog, Position } from '../log.js'
import type { Wanted } from './parameters.js'
import { problem } from './problem.js'
import { withoutSystemStreams, type OfferedLog } from './visible.js'

/** How new a read must be. */
export interface CopyFreshness {
  /** At least as new as this. */
  readonly after?: Position
  /** At most so old, in ms. */
  readonly maxStaleness?: number
  /** Whether another log will do, such as the leader's; if not, only this copy does. */
  readonly elsewhere: boolean
  readonly signal: AbortSignal
}

/** A copy of a log, as those see it who read over HTTP. */
export interface Copy {
  /** Whether it is one still: one that was promoted is none. */
  isCopy(): boolean
  /** Where the log of its leader is. */
  leader(): string | undefined
  /**
   * The log to read from: this one as soon as it is new enough, else another; and how old what it shows is at most, in ms, if that
   * is known.
   *
   * @throws `BANYAN_FOLLOWER_BEHIND`, `BANYAN_POSITION_AHEAD`
   */
  fresh(freshness: CopyFreshness): Promise<{ log: Pick<EventLog, keyof OfferedLog>; age?: number }>
}

/**
 * The log to answer a read from, which is new enough for it.
 *
 * @param isOneAnswer - whether the answer does not go on: one that does must come from here
 */
export async function newEnough(
  request: HandlerRequest,
  { from }: Wanted,
  isOneAnswer: boolean,
  {
    log,
    copy,
    operators,
  }: { readonly log: OfferedLog; readonly copy: Copy | undefined; readonly operators: boolean },
): Promise<{ log: OfferedLog; age?: number }> {
  const seen = request.field('log-position')
  const maxStaleness = maxAgeOf(request)
  if (!copy?.isCopy()) return { log }
  // A client that goes on where it was told to may have been told so by somebody who is further.
  const last = isOneAnswer ? from : (request.field('last-event-id') ?? from)
  const places = [seen, last].filter((place) => place !== undefined && place !== '' && place !== 'end')
  const after = places.sort().at(-1)
  const { log: found, ...age } = await copy.fresh({
    ...(after !== undefined && { after }),
    ...(maxStaleness !== undefined && { maxStaleness }),
    elsewhere: isOneAnswer,
    signal: request.signal,
  })
  return { log: operators ? found : withoutSystemStreams(found as EventLog), ...age }
}

/** Tells how old an answer is (RFC 9111, 5.1), where that is known. */
export function withAge(answer: HandlerAnswer, age: number | undefined): HandlerAnswer {
  if (age === undefined) return answer
  return { ...answer, fields: [...answer.fields, ['Age', String(Math.ceil(age / 1000))]] }
}

/**
 * How old an answer may be (RFC 9111, 5.2.1.1), in ms.
 *
 * @throws a problem of 400
 */
function maxAgeOf(request: HandlerRequest): number | undefined {
  const directive = /(?:^|,)\s*max-age\s*=\s*"?([^",\s]*)/i.exec(request.field('cache-control') ?? '')
  if (!directive) return undefined
  const [, seconds = ''] = directive
  if (!/^\d{1,9}$/.test(seconds))
    throw problem(400, 'invalid-parameter', '`max-age` of Cache-Control must be a number of seconds.')
  return Number(seconds) * 1000
}
