import { BanyanError } from '../core/errors.js'

/**
 * Asks the admin listener of a running node.
 *
 * @returns the JSON of the answer
 * @throws {@link BanyanError} `BANYAN_ADMIN_UNREACHABLE` if nobody answers, `BANYAN_ADMIN_REFUSED` if it says no
 */
export async function askAdmin(admin: string, path: string, init: RequestInit = {}): Promise<unknown> {
  const { ok, status, body } = await requestAdmin(admin, path, init)
  if (ok) return body
  const { detail } = body as { detail?: string }
  throw new BanyanError('BANYAN_ADMIN_REFUSED', detail ?? `${baseOf(admin)} answers ${status}`)
}

/**
 * The same, for those who read refusals themselves.
 *
 * @param patience - ms until it is given up
 * @throws {@link BanyanError} `BANYAN_ADMIN_UNREACHABLE`, or `BANYAN_ADMIN_REFUSED` if the answer is not a node's
 */
export async function requestAdmin(
  admin: string,
  path: string,
  init: RequestInit = {},
  patience = 5_000,
): Promise<{ ok: boolean; status: number; body: object }> {
  const response = await fetchAdmin(admin, path, { ...init, signal: AbortSignal.timeout(patience) })
  const body: unknown = await response.json().catch(() => undefined)
  if (typeof body !== 'object' || body === null)
    throw new BanyanError(
      'BANYAN_ADMIN_REFUSED',
      `${baseOf(admin)} is not the admin listener of a node: it answers no JSON`,
    )
  return { ok: response.ok, status: response.status, body }
}

/**
 * The same, for answers that go on.
 *
 * @throws {@link BanyanError} `BANYAN_ADMIN_UNREACHABLE`; the reason of the signal
 */
export async function fetchAdmin(admin: string, path: string, init: RequestInit = {}): Promise<Response> {
  const base = baseOf(admin)
  try {
    return await fetch(new URL(path, base), init)
  } catch (error) {
    const hint = 'is the node up? its `admin` address goes with --admin'
    throw new BanyanError('BANYAN_ADMIN_UNREACHABLE', `no node answers at ${base}; ${hint}`, { cause: error })
  }
}

/** A URL, `host:port`, or as in a configuration a port alone. */
function baseOf(admin: string): string {
  if (/^https?:\/\//.test(admin)) return admin
  return `http://${/^:?\d+$/.test(admin) ? `127.0.0.1:${admin.replace(':', '')}` : admin}`
}
