import type { Clock } from '../../../../core/clock.js'

/** What asking another server may take. */
export interface FetchLimits {
  /** For the whole answer, in ms. */
  timeout: number
  /** Of the answer's body, in bytes. */
  most: number
}

/**
 * Gets JSON from another server.
 *
 * @returns rejects if the answer is no 200, is not JSON, is longer or takes longer than allowed, or points elsewhere
 */
export async function fetchJson(
  fetching: typeof fetch,
  url: string,
  init: RequestInit,
  { timeout, most }: FetchLimits,
  clock: Clock,
): Promise<unknown> {
  const controller = new AbortController()
  const timer = clock.schedule(clock.now() + timeout, () =>
    controller.abort(new Error(`no answer within ${timeout} ms`)),
  )
  try {
    // A redirect would take credentials, or trust, to where the configuration does not say.
    const response = await fetching(url, { ...init, redirect: 'error', signal: controller.signal })
    if (response.status !== 200) {
      await response.body?.cancel()
      throw new Error(`answered with ${response.status}`)
    }
    return JSON.parse(await textOf(response, most)) as unknown
  } finally {
    timer.cancel()
  }
}

async function textOf(response: Response, most: number): Promise<string> {
  const parts: Uint8Array[] = []
  let size = 0
  for await (const part of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    size += part.byteLength
    // Leaving the loop cancels the rest.
    if (size > most) throw new Error(`the answer is longer than ${most} bytes`)
    parts.push(part)
  }
  return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(parts))
}
