import { BanyanError } from '../../../core/errors.js'
import { eventError } from '../../../events/errors.js'
import { fetchAdmin } from '../../admin-client.js'

const PROBLEM = 'urn:banyan:problem:'

/** A refusal: the code that the log itself would have given, and what else the node said. */
export class RefusedError extends BanyanError {
  readonly document: Readonly<Record<string, unknown>>

  constructor(code: `BANYAN_${string}`, message: string, document: Readonly<Record<string, unknown>>) {
    super(code, message)
    this.document = document
  }
}

/**
 * Asks a node for its events.
 *
 * @param path - below `/api/events`
 * @throws {@link RefusedError}; `BANYAN_ADMIN_UNREACHABLE`
 */
export function ask(admin: string, path: string, init: RequestInit = {}): Promise<Response> {
  return askNode(admin, `/api/events${path}`, init)
}

/**
 * Asks a node for what belongs to its log.
 *
 * @throws {@link RefusedError}; `BANYAN_ADMIN_UNREACHABLE`
 */
export async function askNode(admin: string, path: string, init: RequestInit = {}): Promise<Response> {
  const response = await fetchAdmin(admin, path, init)
  if (response.ok) return response
  if (init.method === 'HEAD')
    throw new BanyanError('BANYAN_ADMIN_REFUSED', `${admin} answers ${response.status}`)
  const text = await response.text()
  const document = documentOf(text)
  if (!document)
    throw new BanyanError(
      'BANYAN_ADMIN_REFUSED',
      `${admin} is not the admin listener of a node: it answers no JSON`,
    )
  const { type, detail } = document
  throw new RefusedError(
    codeOf(type),
    typeof detail === 'string' ? detail : `${admin} answers ${response.status}`,
    document,
  )
}

/** The lines of an answer, as they come. */
export async function* linesOf(response: Response): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder()
  let rest = ''
  try {
    for await (const chunk of response.body ?? []) {
      const lines = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split('\n')
      rest = lines.pop()!
      yield* lines
    }
  } catch (error) {
    throw eventError('BANYAN_LOG_UNAVAILABLE', 'the node broke its answer off: its log says why', error)
  }
  if (rest !== '') yield rest
}

/** The kinds of problems of the log are named as the codes of its errors. */
function codeOf(type: unknown): `BANYAN_${string}` {
  if (typeof type !== 'string' || !type.startsWith(PROBLEM)) return 'BANYAN_ADMIN_REFUSED'
  return `BANYAN_${type.slice(PROBLEM.length).toUpperCase().replaceAll('-', '_')}`
}

function documentOf(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
