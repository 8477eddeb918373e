/** What an answer of an endpoint means for the message. */
export type Verdict =
  | { readonly is: 'accepted' }
  /** It will never be taken. */
  | { readonly is: 'refused'; readonly reason: string }
  /** It was not handled, this time. */
  | { readonly is: 'failed'; readonly reason: string; readonly after: number | undefined }
  /** The endpoint is not there, or wants nothing for now. `sure`: that has nothing to do with the message. */
  | {
      readonly is: 'unavailable'
      readonly reason: string
      readonly after: number | undefined
      readonly sure: boolean
    }

/** Statuses of 4xx that say that the same may work later. */
const PASSING = new Set([408, 425, 429])
/** What servers in front of an endpoint say when it is not there. */
const ABSENT = new Set([502, 503, 504])
/** A longer document is not read. */
const MOST_BYTES = 64 * 1024
const LONGEST_DETAIL = 500
/** An endpoint that wants to be left alone for longer is asked again then all the same, in ms. */
const LONGEST_AFTER = 3_600_000

/**
 * What an answer means:
 *
 * | answer | the message |
 * |---|---|
 * | 2xx | is acknowledged |
 * | 429; 503 with `Retry-After` | waits, with all others; does not count as a try |
 * | 502, 503, 504 | the same while no other message gets through, else a failed try |
 * | 408, 425, other 5xx; 1xx and 3xx, as redirects are not followed | a failed try |
 * | other 4xx | becomes a dead letter at once |
 *
 * @param now - ms since the epoch
 */
export async function verdictOf(response: Response, now: number): Promise<Verdict> {
  const { status } = response
  if (status >= 200 && status <= 299) return { is: 'accepted' }
  const reason = `answered with ${status}${await detailOf(response)}`
  const after = retryAfter(response.headers.get('retry-after'), now)
  if (status === 429 || (status === 503 && after !== undefined))
    return { is: 'unavailable', reason, after, sure: true }
  if (ABSENT.has(status)) return { is: 'unavailable', reason, after, sure: false }
  if (status >= 400 && status <= 499 && !PASSING.has(status)) return { is: 'refused', reason }
  return { is: 'failed', reason, after }
}

/**
 * What it means that there was no answer. Nothing was sent if the error says so: with `sent: false`, with a `retryAfter` as
 * those of policies have it, or, from `fetch`, because there was no connection.
 */
export function verdictOfError(error: unknown): Verdict {
  const reason = `not answered: ${messageOf(error)}`
  if (typeof error !== 'object' || error === null) return { is: 'failed', reason, after: undefined }
  const { sent, retryAfter } = error as { sent?: unknown; retryAfter?: unknown }
  const after = typeof retryAfter === 'number' ? retryAfter : undefined
  const isUnsent = sent === false || 'retryAfter' in error || UNCONNECTED.has(codeOf(error))
  return isUnsent ? { is: 'unavailable', reason, after, sure: true } : { is: 'failed', reason, after }
}

/** Codes of Node and of its `fetch`. */
const UNCONNECTED: ReadonlySet<unknown> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
])

/** Of the innermost cause that has one. */
function codeOf(error: unknown): unknown {
  let code: unknown
  for (let each = error; typeof each === 'object' && each !== null; each = (each as Error).cause)
    code = (each as { code?: unknown }).code ?? code
  return code
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (!(error.cause instanceof Error)) return error.message
  const why = messageOf(error.cause)
  // Many who wrap an error say what it says.
  return error.message.includes(why) ? error.message : `${error.message} (${why})`
}

/** What a problem document says, after a colon. */
async function detailOf(response: Response): Promise<string> {
  if (!/^application\/problem\+json\b/i.test(response.headers.get('content-type') ?? '')) return ''
  try {
    const { detail, title } = JSON.parse(await textOf(response)) as Record<string, unknown>
    const said = [detail, title].find((each) => typeof each === 'string')
    return said === undefined ? '' : `: ${said.slice(0, LONGEST_DETAIL)}`
  } catch {
    // The status says enough.
    return ''
  }
}

async function textOf(response: Response): Promise<string> {
  const parts: Uint8Array[] = []
  let length = 0
  for await (const part of response.body ?? []) {
    parts.push(part as Uint8Array)
    length += (part as Uint8Array).length
    if (length > MOST_BYTES) break
  }
  return Buffer.concat(parts).toString('utf8')
}

/** Reads what nobody wants to know, so that the connection can be used again; a longer body is broken off. */
export async function discard(response: Response): Promise<void> {
  if (!response.bodyUsed) await textOf(response).catch(() => undefined)
}

/** ms, from a number of seconds or a date (RFC 9110, 10.2.3). */
function retryAfter(value: string | null, now: number): number | undefined {
  if (value === null) return undefined
  const ms = /^\d{1,9}$/.test(value.trim()) ? Number(value) * 1000 : Date.parse(value) - now
  return Number.isNaN(ms) ? undefined : Math.min(LONGEST_AFTER, Math.max(0, ms))
}
