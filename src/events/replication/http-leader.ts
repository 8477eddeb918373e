import { BanyanError } from '../../core/errors.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import type { Page, Query } from '../driver.js'
import { eventError, type EventErrorCode } from '../errors.js'
import type { ReplicaState } from '../replica.js'
import type { GiveWayRequest, Leader, Pulled, PullRequest } from './source.js'
import { unpackPage, unpackPulled } from './wire.js'

/** Options of {@link leaderAt}. */
export interface LeaderOptions {
  /** Header fields of each request, such as a key; or what gives them, asked each time. Default none. */
  headers?: Readonly<Record<string, string>> | (() => Readonly<Record<string, string>>)
  /** How requests are made; default the global `fetch`. */
  fetch?: typeof fetch
  /** ms after which a request that is not to wait is given up, and by how much one may take longer that is; default 10,000. */
  patience?: number
}

const OPTIONS: OptionTable<LeaderOptions> = {
  headers: {
    kind: 'either',
    of: [
      { kind: 'code', type: 'object', doc: 'header fields' },
      { kind: 'code', type: 'function', doc: 'gives header fields' },
    ],
    doc: 'header fields of each request',
  },
  fetch: { kind: 'code', type: 'function', doc: 'how requests are made' },
  patience: { kind: 'number', min: 1, doc: 'ms after which a request is given up' },
}

/**
 * A leader that answers over HTTP.
 *
 * @param url - where `followersOverHttp` is mounted
 */
export function leaderAt(url: string | URL, options: LeaderOptions = {}): Leader {
  checkOptions('leaderAt', OPTIONS, options)
  return new HttpLeader(new URL(url), options)
}

class HttpLeader implements Leader {
  readonly name: string
  readonly #base: string
  readonly #headers: () => Readonly<Record<string, string>>
  readonly #fetch: typeof fetch
  readonly #patience: number

  constructor(url: URL, { headers = {}, fetch: given = fetch, patience = 10_000 }: LeaderOptions) {
    const { username, password, search } = url
    if (username !== '' || password !== '' || search !== '')
      throw new BanyanError(
        'BANYAN_INVALID_OPTIONS',
        'the address of a leader has no user, password or query: give what it asks for as headers',
      )
    this.#base = url.href.replace(/\/+$/, '')
    this.name = this.#base
    this.#headers = typeof headers === 'function' ? headers : () => headers
    this.#fetch = given
    this.#patience = patience
  }

  async pull(request: PullRequest, signal: AbortSignal): Promise<Pulled> {
    return unpackPulled(await this.#post('pull', request, signal, request.wait))
  }

  async read(query: Query, signal: AbortSignal): Promise<Page> {
    return unpackPage(await this.#post('read', query, signal))
  }

  async giveWay(request: GiveWayRequest, signal: AbortSignal): Promise<ReplicaState> {
    return JSON.parse(await this.#post('give-way', request, signal)) as ReplicaState
  }

  async state(signal: AbortSignal): Promise<ReplicaState> {
    return JSON.parse(await this.#post('state', {}, signal)) as ReplicaState
  }

  async #post(what: string, body: object, signal: AbortSignal, wait = 0): Promise<string> {
    const patience = AbortSignal.timeout(this.#patience + wait)
    let response: Response
    let text: string
    try {
      response = await this.#fetch(`${this.#base}/${what}`, {
        method: 'POST',
        headers: { ...this.#headers(), 'content-type': 'application/json' },
        body: JSON.stringify(body),
        redirect: 'error',
        signal: AbortSignal.any([signal, patience]),
      })
      text = await response.text()
    } catch (error) {
      signal.throwIfAborted()
      throw eventError('BANYAN_LOG_UNAVAILABLE', `${this.name} cannot be reached: ${reasonOf(error)}`, error)
    }
    if (response.ok) return text
    throw this.#problem(response.status, text)
  }

  #problem(status: number, text: string): Error {
    const { code, detail } = problemIn(text)
    if (code !== undefined) return eventError(code as EventErrorCode, detail ?? code)
    return eventError(
      'BANYAN_LOG_UNAVAILABLE',
      `${this.name} answers with ${status}: ${detail ?? text.slice(0, 200)}`,
    )
  }
}

function problemIn(text: string): { code?: string; detail?: string } {
  try {
    const { code, detail } = JSON.parse(text) as Record<string, unknown>
    return {
      ...(typeof code === 'string' && code.startsWith('BANYAN_') && { code }),
      ...(typeof detail === 'string' && { detail }),
    }
  } catch {
    return {}
  }
}

/** `fetch failed` alone helps nobody. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? error.cause.message : error.message
}
