import { Body } from '../../../http/body.js'
import type { Fields } from '../../../http/fields.js'
import { Kind } from '../../../http/fields.js'
import type { ResponseHead } from '../../../http/message.js'
import { UpstreamAnswer } from '../../answer.js'
import { isUnchanged, sameWeakly, type Validators } from '../../semantics/conditions.js'
import { httpDate, parseHttpDate } from '../../semantics/date.js'
import type { Freshness } from './rules.js'

/** Bytes that an answer takes besides its body and its fields. */
const OVERHEAD = 512

/** Fields that say something of the body, which a 304 does not bring (RFC 9111 3.2). */
const OF_THE_BODY = ['content-encoding', 'content-length', 'content-range', 'content-type', 'etag']

/** Fields of a 304 (RFC 9110 15.4.5). */
const OF_UNCHANGED = new Set(['cache-control', 'content-location', 'date', 'etag', 'expires', 'vary', 'via'])

/** When an answer was made and how long it may be used. */
export interface Term {
  readonly freshness: Freshness
  /** When its request was made, on the scale of the clock. */
  readonly requestedAt: number
  /** How old it was when it came, in ms. */
  readonly ageOnArrival: number
}

/** An answer that is kept. */
export class CachedAnswer {
  readonly fields: Fields
  readonly validators: Validators
  readonly freshness: Freshness
  readonly size: number
  readonly #head: ResponseHead
  readonly #body: Buffer
  readonly #term: Term

  constructor(head: ResponseHead, fields: Fields, body: Buffer, term: Term) {
    this.#head = head
    this.fields = fields
    this.#body = body
    this.#term = term
    this.freshness = term.freshness
    this.validators = {
      etag: fields.get('etag'),
      lastModified: parseHttpDate(fields.get('last-modified')),
    }
    const fieldBytes = fields.names.reduce(
      (sum, name, at) => sum + name.length + fields.values[at]!.length,
      0,
    )
    this.size = OVERHEAD + fieldBytes + body.length
  }

  /** How old it is, in ms; the way from the service counts in full. */
  age(now: number): number {
    return this.#term.ageOnArrival + now - this.#term.requestedAt
  }

  /** ms for which it stays fresh; negative once it is stale. */
  timeLeft(now: number): number {
    return this.freshness.lifetime - this.age(now)
  }

  get status(): number {
    return this.#head.status
  }

  /** Its fields, with those of the 304 that confirmed it (RFC 9111 3.2). */
  confirmedBy(news: Fields): Fields {
    const fields = this.fields.copy()
    for (const name of OF_THE_BODY) news.delete(name)
    for (const name of new Set(news.names.map((each) => each.toLowerCase()))) fields.delete(name)
    for (const [name, value] of news) fields.append(name, value)
    return fields
  }

  /** The same content under other fields and for another time. */
  with(fields: Fields, term: Term): CachedAnswer {
    return new CachedAnswer(this.#head, fields, this.#body, term)
  }

  /** Whether a 304 speaks of this answer. */
  isMeantBy(unchanged: Fields): boolean {
    const etag = unchanged.get('etag')
    return etag === undefined || this.validators.etag === undefined || sameWeakly(etag, this.validators.etag)
  }

  /**
   * The answer for a client: a 304 if it has this already.
   *
   * @param status - what to say as Cache-Status
   */
  answer(request: Fields, now: number, status: string): UpstreamAnswer {
    const fields = this.fields.copy()
    fields.append('Age', String(Math.floor(this.age(now) / 1000)))
    fields.append('Cache-Status', status)
    return this.#head.status === 200 && isUnchanged(request, this.validators)
      ? UpstreamAnswer.of(304, unchangedFields(fields), Buffer.alloc(0))
      : new UpstreamAnswer({ ...this.#head, fields }, Body.of(this.#body), undefined, false)
  }
}

/** The fields of a 304 for a client that has the answer already. */
export function unchangedFields(fields: Fields): Fields {
  const kept = fields.copy()
  const keepsDate = fields.get('etag') === undefined
  for (const name of new Set(fields.names.map((each) => each.toLowerCase()))) {
    const isKept =
      OF_UNCHANGED.has(name) ||
      name === 'age' ||
      name === 'cache-status' ||
      (keepsDate && name === 'last-modified')
    if (!isKept) kept.delete(name)
  }
  return kept
}

/**
 * The fields of an answer that are kept (RFC 9111 3.1): without those of its connection, and its age, which goes on.
 *
 * @param receivedAt - ms since the Unix epoch, put in as the Date if there is none
 */
export function keptFields(fields: Fields, receivedAt: number | undefined): Fields {
  const kept = fields.copy()
  for (let index = kept.size - 1; index >= 0; index--) {
    const kind = kept.kinds[index]
    const isOurs = kind === Kind.Ordinary || kind === Kind.Protected || kind === Kind.Via
    if (!isOurs || kept.names[index]!.toLowerCase() === 'age') kept.remove(index)
  }
  if (receivedAt !== undefined && kept.get('date') === undefined) kept.append('Date', httpDate(receivedAt))
  return kept
}

/** The head of an answer that is kept whole. */
export function keptHead(head: ResponseHead, fields: Fields, length: number): ResponseHead {
  return {
    status: head.status,
    reason: head.reason,
    minor: 1,
    fields,
    framing: { kind: 'length', length },
    contentLength: length,
    keepAlive: true,
    upgrade: undefined,
  }
}
