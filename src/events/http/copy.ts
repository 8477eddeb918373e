import type { HandlerAnswer, HandlerRequest } from '../../core/http-handler.js'
import type { EventLog, Position } from '../log.js'
import { parseEpoch, type EpochToken } from '../replication/token.js'
import { START } from '../position.js'
import type { Wanted } from './parameters.js'
import { problem } from './problem.js'
import { withoutSystemStreams, type OfferedLog } from './visible.js'

/** How new a read must be. */
export interface CopyFreshness {
  /** At least as new as this. */
  readonly after?: Position | EpochToken
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
  fresh(
    freshness: CopyFreshness,
  ): Promise<{ log: Pick<EventLog, keyof OfferedLog>; age?: number; isElsewhere?: boolean }>
  /**
   * Looks whether what a client was told is in this log, or can still come to be in it.
   *
   * @throws `BANYAN_LOG_FENCED` if another log took the place of this one, `BANYAN_POSITION_AHEAD` if it was lost
   */
  check(token: EpochToken): Promise<void>
  /** The epoch that the log is in, for the field `Log-Epoch`. */
  epoch(): Promise<string>
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
): Promise<{ log: OfferedLog; age?: number; isElsewhere?: boolean }> {
  const maxStaleness = maxAgeOf(request)
  // A client that goes on where it was told to may have been told so by somebody who is further.
  const last = isOneAnswer ? from : (request.field('last-event-id') ?? from)
  const after = seenBy(request, last)
  if (!copy?.isCopy()) {
    if (typeof after === 'object') await copy?.check(after)
    return { log }
  }
  const { log: found, ...about } = await copy.fresh({
    ...(after !== undefined && { after }),
    ...(maxStaleness !== undefined && { maxStaleness }),
    elsewhere: isOneAnswer,
    signal: request.signal,
  })
  return { log: operators ? found : withoutSystemStreams(found as EventLog), ...about }
}

/**
 * Looks whether a log is that of which a client who appends has seen something.
 *
 * @throws as `Copy.check`; a problem of 400
 */
export async function checkSeen(request: HandlerRequest, copy: Copy | undefined): Promise<void> {
  const seen = seenBy(request, undefined)
  if (typeof seen === 'object' && !copy?.isCopy()) await copy?.check(seen)
}

/** Tells the epoch of the position that an answer from this log tells. */
export async function withEpoch(answer: HandlerAnswer, copy: Copy | undefined): Promise<HandlerAnswer> {
  if (!copy || !answer.fields.some(([name]) => name === 'Log-Position')) return answer
  return { ...answer, fields: [...answer.fields, ['Log-Epoch', await copy.epoch()]] }
}

/**
 * What a request says that its client has seen: the last of its places, with the epoch that they are of.
 *
 * @throws a problem of 400
 */
function seenBy(request: HandlerRequest, last: string | undefined): Position | EpochToken | undefined {
  const places = [request.field('log-position'), last]
  const position = places
    .filter((place) => place !== undefined && place !== '' && place !== 'end')
    .sort()
    .at(-1)
  const text = request.field('log-epoch')
  if (text === undefined || text === '') return position
  const epoch = parseEpoch(text)
  if (!epoch)
    throw problem(400, 'invalid-parameter', '`Log-Epoch` must be what an answer has told in the same field.')
  return { position: position ?? START, ...epoch }
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
