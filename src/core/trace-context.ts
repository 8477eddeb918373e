/** Where a piece of work stands in a distributed trace, as it travels between processes (W3C Trace Context). */
export interface TraceContext {
  /** 32 hexadecimal digits in lower case, not all zero. */
  readonly traceId: string
  /** 16 hexadecimal digits in lower case, not all zero: the span that asks. */
  readonly spanId: string
  /** Whether whoever asks has kept its span. */
  readonly sampled: boolean
  /** What tracing systems tell each other: `vendor=value` members, the latest first. */
  readonly state: string | undefined
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const NO_TRACE = '0'.repeat(32)
const NO_SPAN = '0'.repeat(16)
const SAMPLED = 1

/**
 * Reads `traceparent` and `tracestate` (W3C Trace Context, level 2). A later version is read as far as it is known.
 *
 * @param traceparent - value of the field; several lines joined with a comma are not valid
 * @param tracestate - value of the field; several lines joined with a comma, in their order
 * @returns `undefined` if `traceparent` is absent or not valid: a new trace begins, and `tracestate` counts for
 *   nothing. A `tracestate` that is not valid is left out.
 */
export function parseTraceContext(
  traceparent: string | undefined,
  tracestate?: string,
): TraceContext | undefined {
  const match = traceparent === undefined ? null : TRACEPARENT.exec(traceparent)
  if (!match) return undefined
  const [, version, traceId, spanId, flags, more] = match
  if (version === 'ff' || (version === '00' && more !== undefined)) return undefined
  if (traceId === NO_TRACE || spanId === NO_SPAN) return undefined
  return {
    traceId: traceId!,
    spanId: spanId!,
    sampled: (parseInt(flags!, 16) & SAMPLED) !== 0,
    state: tracestate === undefined ? undefined : parseTraceState(tracestate),
  }
}

/** The `traceparent` that tells the next hop of a context. */
export function formatTraceparent({ traceId, spanId, sampled }: TraceContext): string {
  return `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`
}

/** Members beyond this make the whole field invalid. */
const MOST_MEMBERS = 32

/** Longest `tracestate` that is passed on, in characters; the standard asks for 512 at least. */
const MOST_STATE = 2_048

/** If something has to go, these go first (W3C Trace Context 3.3.1.5). */
const LONG_MEMBER = 128

const KEY = /^(?:[a-z0-9][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})$/
const VALUE = /^[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/

/**
 * Reads a `tracestate`.
 *
 * @returns its members as they are passed on: without empty ones and later ones of the same key, and not longer than
 *   2,048 characters; `undefined` if it has none, more than 32, or one that is not valid
 */
export function parseTraceState(text: string): string | undefined {
  const members = new Map<string, string>()
  let count = 0
  for (const part of text.split(',')) {
    const member = part.replace(/^[ \t]+|[ \t]+$/g, '')
    if (member === '') continue
    const equals = member.indexOf('=')
    const key = member.slice(0, equals)
    if (equals < 0 || !KEY.test(key) || !VALUE.test(member.slice(equals + 1))) return undefined
    if (++count > MOST_MEMBERS) return undefined
    if (!members.has(key)) members.set(key, member)
  }
  return count === 0 ? undefined : fitting([...members.values()])
}

/** Leaves out members until the rest is short enough: the long ones first, then the oldest, which stand last. */
function fitting(members: string[]): string {
  let length = members.reduce((sum, member) => sum + member.length + 1, -1)
  for (const longest of [LONG_MEMBER, 0]) {
    for (let index = members.length - 1; length > MOST_STATE && index >= 0; index--) {
      const member = members[index]!
      if (member.length <= longest) continue
      members.splice(index, 1)
      length -= member.length + 1
    }
  }
  return members.join(',')
}
