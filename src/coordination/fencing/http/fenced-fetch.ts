import { claimOf, type Claim } from '../claim.js'
import { StaleTokenError } from '../stale-token.js'
import { fencingHeaders } from './header.js'

type Fetch = typeof globalThis.fetch

/**
 * A `fetch` whose requests say as the holder of what they are sent, see {@link FENCING_TOKEN}. Before each `check` of what is
 * held is asked.
 *
 * @param claim - the name of the fence, and what is held or its token
 * @param fetch - what sends them; default that of the platform
 * @returns rejects with `BANYAN_STALE_TOKEN` ({@link StaleTokenError}) if the server has refused it for that, and with what
 *   `check` throws; otherwise does as `fetch` does
 */
export function fencedFetch(claim: Claim, fetch: Fetch = globalThis.fetch): Fetch {
  const { name, token } = claimOf(claim)
  return async (input, init) => {
    const headers = new Headers(init?.headers ?? (input instanceof Request ? input.headers : undefined))
    for (const [field, value] of Object.entries(fencingHeaders(claim))) headers.set(field, value)
    const response = await fetch(input, { ...init, headers })
    const seen = await staleIn(response)
    if (seen !== undefined) throw new StaleTokenError(name, token, seen)
    return response
  }
}

/** The token that a server has seen, if that is why it has refused. */
async function staleIn(response: Response): Promise<number | undefined> {
  if (response.status !== 412) return undefined
  if (!/^application\/problem\+json\b/i.test(response.headers.get('content-type') ?? '')) return undefined
  const problem = (await response
    .clone()
    .json()
    .catch(() => undefined)) as { code?: unknown; seen?: unknown } | undefined
  if (problem?.code !== 'BANYAN_STALE_TOKEN' || typeof problem.seen !== 'number') return undefined
  // Nobody else will read it.
  await response.body?.cancel()
  return problem.seen
}
