import { isFieldValue, isToken } from '../http/characters.js'
import { isAlias, Kind, sameName, type Fields } from '../http/fields.js'
import type { Framing } from '../http/framing.js'
import type { RequestHead } from '../http/message.js'
import { formatGrpcTimeout, GRPC_ATTEMPTS_FIELD, GRPC_TIMEOUT_FIELD } from './grpc/deadline.js'
import type { HeaderEdits } from './header-edits.js'
import type { UpstreamAnswer } from './answer.js'
import { BanyanError } from '../../core/errors.js'
import type { TraceContext } from '../../core/trace-context.js'
import { traceText } from './telemetry/trace-text.js'

/** Edits of header fields, ready to apply. */
export interface CompiledEdits {
  /** Names in lower case that are dropped: removed or replaced. */
  readonly dropped: readonly string[]
  /** What is put in, with CRLF. */
  readonly text: string
}

/**
 * Prepares header edits.
 *
 * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` for a name or value that cannot stand in a header, or that
 *   the data plane itself is responsible for
 */
export function compileEdits(edits: HeaderEdits | undefined): CompiledEdits | undefined {
  if (!edits) return undefined
  const puts = [...Object.entries(edits.set ?? {}), ...Object.entries(edits.add ?? {})]
  for (const [name, value] of puts) {
    if (!isToken(name) || !isFieldValue(value)) {
      throw new BanyanError('BANYAN_INVALID_OPTIONS', `\`${name}: ${value}\` is not a valid header field`)
    }
    if (FRAMING.has(name.toLowerCase())) {
      throw new BanyanError(
        'BANYAN_INVALID_OPTIONS',
        `\`${name}\` is set by the gateway itself and cannot be edited`,
      )
    }
  }
  return {
    dropped: [...Object.keys(edits.set ?? {}), ...(edits.remove ?? [])].map((name) => name.toLowerCase()),
    text: puts.map(([name, value]) => `${name}: ${value}\r\n`).join(''),
  }
}

const FRAMING = new Set([
  'connection',
  'content-length',
  'host',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** What goes into the head of a request besides its own fields; the same for all its tries unless a filter changes it. */
export interface RequestAdditions {
  /** With its query. */
  target: string
  host: string
  /** `Forwarded` and relatives. */
  forwarded: string
  via: string
  /** How the body is delimited, as the endpoint gets it. */
  framing: Framing
  edits: CompiledEdits | undefined
  upgrade: boolean
  /** Whether it is a call of gRPC, which says deadlines and tries its own way. */
  grpc: boolean
}

/** The field that tells the next hop how many ms the caller still waits (a duration, as clocks differ). */
export const TIMEOUT_FIELD = 'x-request-timeout-ms'

/**
 * Fields of the request to an endpoint, written anew from the parsed ones, without host and framing: nothing is
 * relayed unread.
 *
 * @param remaining - ms that the caller still waits, told to the endpoint; `Infinity` for no limit
 * @param attempt - number of the try, told from the second on
 * @param trace - the span of the try, told in place of the client's; without one the client's passes untouched
 */
export function requestText(
  request: RequestHead,
  additions: RequestAdditions,
  remaining: number,
  attempt: number,
  trace: TraceContext | undefined,
): string {
  const { fields } = request
  const { edits } = additions
  const { names, values, kinds } = fields
  let text = ''
  let via = additions.via
  for (let index = 0; index < names.length; index++) {
    switch (kinds[index]) {
      case Kind.Ordinary:
      case Kind.Protected:
      case Kind.Trailer:
      case Kind.Expect: {
        if (kinds[index] === Kind.Expect && !request.expectContinue) break
        const name = names[index]!
        if (name.length === TIMEOUT_FIELD.length && sameName(name, TIMEOUT_FIELD)) break
        if (additions.grpc && (sameName(name, GRPC_TIMEOUT_FIELD) || sameName(name, GRPC_ATTEMPTS_FIELD)))
          break
        if (trace !== undefined && (sameName(name, 'traceparent') || sameName(name, 'tracestate'))) break
        if (edits !== undefined && isDropped(edits, name)) break
        text += name + ': ' + values[index]! + '\r\n'
        break
      }
      case Kind.Via:
        via = `${values[index]!}, ${via}`
        break
      default:
    }
  }
  text += additions.forwarded + 'Via: ' + via + '\r\n'
  if (additions.grpc) {
    if (remaining !== Infinity) text += `${GRPC_TIMEOUT_FIELD}: ${formatGrpcTimeout(remaining)}\r\n`
    if (attempt > 1) text += `${GRPC_ATTEMPTS_FIELD}: ${attempt - 1}\r\n`
  } else {
    if (remaining !== Infinity) text += `X-Request-Timeout-Ms: ${Math.max(1, Math.floor(remaining))}\r\n`
    if (attempt > 1) text += `X-Request-Attempt: ${attempt}\r\n`
  }
  if (trace !== undefined) text += traceText(trace)
  return edits === undefined ? text : text + edits.text
}

/** Fields of an answer for the client, without framing. */
export function answerText(answer: UpstreamAnswer, via: string, edits: CompiledEdits | undefined): string {
  const { names, values, kinds } = answer.fields
  let text = ''
  let hops = via
  for (let index = 0; index < names.length; index++) {
    switch (kinds[index]) {
      case Kind.Ordinary:
      case Kind.Protected:
      case Kind.Trailer: {
        const name = names[index]!
        if (edits !== undefined && isDropped(edits, name)) break
        text += name + ': ' + values[index]! + '\r\n'
        break
      }
      case Kind.Via:
        hops = `${values[index]!}, ${hops}`
        break
      default:
    }
  }
  text += 'Via: ' + hops + '\r\n'
  return edits === undefined ? text : text + edits.text
}

/** Fields of an interim answer for the client: those that are meant for it. */
export function interimText({ names, values, kinds }: Fields): string {
  let text = ''
  for (let index = 0; index < names.length; index++) {
    if (kinds[index] === Kind.Ordinary) text += names[index]! + ': ' + values[index]! + '\r\n'
  }
  return text
}

/** Only fields without a meaning for framing, routing or rights may come after a body (RFC 9110 6.5.1). */
export function safeTrailers(trailers: Fields | undefined): Fields | undefined {
  if (!trailers?.kinds.some((kind) => kind !== Kind.Ordinary)) return trailers
  for (let index = trailers.size - 1; index >= 0; index--) {
    if (trailers.kinds[index] !== Kind.Ordinary) trailers.remove(index)
  }
  return trailers
}

/**
 * The value of a field in lines of a head.
 *
 * @param lower - the name in lower case
 */
export function fieldIn(text: string, lower: string): string | undefined {
  let joined: string | undefined
  for (const line of text.split('\r\n')) {
    const colon = line.indexOf(':')
    if (colon < 0 || !sameName(line.slice(0, colon), lower)) continue
    const value = line.slice(colon + 1).trim()
    joined = joined === undefined ? value : `${joined}, ${value}`
  }
  return joined
}

function isDropped(edits: CompiledEdits, name: string): boolean {
  for (const dropped of edits.dropped) if (isAlias(name, dropped)) return true
  return false
}
