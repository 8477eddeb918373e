import type { IncomingMessage, ServerResponse } from 'node:http'
import { isOwnHost, isOwnOrigin } from '../../core/own-origin.js'
import { problemResponse } from '../../traffic/http/problem.js'

/** What the admin listener answers. */
export interface Reply {
  status: number
  type: string
  /** In full, or part by part. */
  body: string | Buffer | AsyncIterable<Buffer>
  /** Further header fields. */
  headers?: Record<string, string>
}

/** A page in an operator's browser must not reach us on behalf of somebody else. */
export function refuseForeign(request: IncomingMessage): Reply | undefined {
  const { host, origin } = request.headers
  if (!isOwnHost(host)) return problem(421, 'The admin listener is asked by address or as localhost only.')
  if (!isOwnOrigin(host, origin)) return problem(403, 'Requests of other origins are refused.')
  return undefined
}

/** The whole body, or nothing if it is too large; it is read to its end all the same, so that the answer arrives. */
export async function readBody(request: IncomingMessage, most: number): Promise<string | undefined> {
  return (await collect(request, most))?.toString()
}

/**
 * The whole body as bytes.
 *
 * @throws {@link TooLargeError}
 */
export async function readBytes(request: IncomingMessage, most: number): Promise<Buffer> {
  const body = await collect(request, most)
  if (!body) throw new TooLargeError(`The request body is longer than ${most} bytes.`)
  return body
}

/** A body that is longer than it may be. */
export class TooLargeError extends Error {}

async function collect(request: IncomingMessage, most: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes <= most) chunks.push(chunk)
  }
  return bytes <= most ? Buffer.concat(chunks) : undefined
}

/** The parameters of a request. */
export function queryOf({ url = '' }: IncomingMessage): URLSearchParams {
  return new URLSearchParams(url.split('?')[1] ?? '')
}

/** What to say of a parameter that is not known, if there is one. */
export function refuseUnknown(query: URLSearchParams, known: readonly string[]): Reply | undefined {
  const unknown = [...query.keys()].find((name) => !known.includes(name))
  return unknown === undefined
    ? undefined
    : problem(
        400,
        `Unknown parameter \`${unknown}\`; ${known.length === 0 ? 'there are none' : `known are ${known.join(', ')}`}.`,
      )
}

const ends = new WeakMap<IncomingMessage, AbortSignal>()

/** Notes when a request is over: not on its connection, which may bring any number of them. */
export function noteEnd(request: IncomingMessage, response: ServerResponse): void {
  const over = new AbortController()
  response.once('close', () => over.abort())
  ends.set(request, over.signal)
}

/** Aborted when the operator's connection closes, or everything is answered. */
export function signalOf(request: IncomingMessage): AbortSignal {
  return ends.get(request)!
}

/** A part of a path without its percent-encoding; undefined if that is wrong. */
export function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

export function listOf(names: readonly string[]): string {
  return names.length > 0
    ? `; there are ${names.map((name) => `\`${name}\``).join(', ')}.`
    : '; there is none.'
}

export function notAllowed(allow: string): Reply {
  return {
    ...problem(
      405,
      `Only ${allow.replace(/, (?=[^,]*$)/, ' and ')} ${allow.includes(',') ? 'are' : 'is'} allowed here.`,
    ),
    headers: { Allow: allow },
  }
}

export function json(status: number, value: unknown): Reply {
  return { status, type: 'application/json', body: `${JSON.stringify(value, undefined, 2)}\n` }
}

/** @param more - further members of the problem document */
export function problem(status: number, detail: string, more: object = {}): Reply {
  const document = JSON.parse(problemResponse({ status, detail }).body.toString()) as object
  return {
    status,
    type: 'application/problem+json',
    body: JSON.stringify({ ...document, ...more }),
  }
}
