import {
  Agent as HttpAgent,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type RequestOptions,
} from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { backoffWait, type Growth } from '../../core/backoff.js'
import { sleep } from '../../core/clock.js'
import { BanyanError } from '../../core/errors.js'
import type { Runtime } from '../../core/runtime.js'
import { coordinationError } from '../../coordination/errors.js'
import type { KubernetesConfig } from './config.js'
import { bodyOf, exchange, UnansweredError } from './exchange.js'
import { withQuery, type Query } from './paths.js'
import { isPassing, refusalOf, retryAfter, type Refusal } from './status.js'
import { warningsOf } from './warnings.js'

/** Credentials may be in files, and come from commands: they are not asked for with each request. */
const CREDENTIALS_MS = 60_000
const RETRIES: Growth = { base: 100, factor: 2, max: 5000 }

/** What is asked of the API. */
export interface Ask {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly query?: Query
  /** JSON. */
  readonly body?: string
  /** Default `application/json`. */
  readonly contentType?: string
}

/** What came of it. */
export interface Answer {
  readonly body: unknown
  /** What the server warns of. */
  readonly warnings: readonly string[]
}

interface Credentials {
  readonly options: Promise<RequestOptions>
  /** On the clock. */
  readonly until: number
}

/** An answer that is no success, before it is known whether it is asked again. */
class RefusedError extends Error {
  readonly refusal: Refusal

  constructor(refusal: Refusal) {
    super(`HTTP ${refusal.status}`)
    this.refusal = refusal
  }
}

/**
 * Asks an API server, where and as whom `@kubernetes/client-node` says. Its client is not used for more than that: it makes a new
 * connection for each request, turns times into `Date`s and leaves out what it does not know, does not hand on warnings, and its
 * watch takes errors for the end.
 *
 * A request that nobody can have seen, that was refused for now, or that only reads is made again until the timeout. Any other is
 * made once: nobody knows whether it was done, and a second `create` might make a second resource.
 */
export class Connection {
  readonly runtime: Runtime
  readonly #config: KubernetesConfig
  readonly #server: string
  readonly #proxied: boolean
  readonly #timeout: number
  readonly #agent: HttpAgent
  readonly #closing = new AbortController()
  #credentials: Credentials | undefined

  /**
   * @param timeout - ms
   * @throws `BANYAN_INVALID_OPTIONS` if there is no server to ask
   */
  constructor(config: KubernetesConfig, timeout: number, runtime: Runtime) {
    const cluster = config.getCurrentCluster()
    if (!/^https?:/.test(cluster?.server ?? ''))
      throw new BanyanError('BANYAN_INVALID_OPTIONS', 'kubernetesResources: the kubeconfig names no cluster')
    this.runtime = runtime
    this.#config = config
    this.#server = cluster!.server.replace(/\/+$/, '')
    this.#proxied = Boolean(cluster!.proxyUrl)
    this.#timeout = timeout
    this.#agent = new (this.#server.startsWith('https:') ? HttpsAgent : HttpAgent)({ keepAlive: true })
  }

  /** Aborted when it is closed. */
  get closing(): AbortSignal {
    return this.#closing.signal
  }

  /** @throws ResourceError, and what engines throw */
  ask(ask: Ask): Promise<Answer> {
    return this.#repeat(ask, this.closing, async () => {
      const response = await this.#send(ask, this.closing)
      const body = await this.#read(response, this.closing)
      if (isSuccess(response)) return { body, warnings: warningsOf(response) }
      throw new RefusedError({ status: response.statusCode!, body })
    })
  }

  /**
   * The body of an answer, as it comes.
   *
   * @throws ResourceError, and what engines throw; the reason of the signal
   */
  open(ask: Ask, signal: AbortSignal): Promise<IncomingMessage> {
    return this.#repeat(ask, signal, async () => {
      const response = await this.#send(ask, signal)
      if (isSuccess(response)) return response
      throw new RefusedError({ status: response.statusCode!, body: await this.#read(response, signal) })
    })
  }

  close(): void {
    this.#closing.abort(coordinationError('BANYAN_COORDINATOR_CLOSED', 'the resources were closed'))
    this.#agent.destroy()
  }

  async #repeat<Value>(ask: Ask, signal: AbortSignal, once: () => Promise<Value>): Promise<Value> {
    const { clock, random } = this.runtime
    const until = clock.now() + this.#timeout
    for (let failures = 1; ; failures++) {
      try {
        return await once()
      } catch (error) {
        const told = error instanceof RefusedError ? retryAfter(error.refusal) : 0
        const wait = told + backoffWait(RETRIES, failures, 'full', random)
        if (!this.#mayRepeat(ask, error, failures) || clock.now() + wait >= until)
          throw this.#codedError(ask, error)
        await sleep(clock, wait, signal)
      }
    }
  }

  #mayRepeat(ask: Ask, error: unknown, failures: number): boolean {
    if (error instanceof UnansweredError) return !error.sent || !changes(ask)
    if (!(error instanceof RefusedError)) return false
    const { status } = error.refusal
    if (status === 401) {
      // Once, with new credentials.
      this.#credentials = undefined
      return failures === 1
    }
    return status === 429 || (!changes(ask) && isPassing(error.refusal))
  }

  #codedError(ask: Ask, error: unknown): unknown {
    const what = `${ask.method} ${this.#server}${ask.path}`
    if (error instanceof RefusedError) return refusalOf(error.refusal, what, changes(ask))
    if (!(error instanceof UnansweredError)) return error
    const message = `${what}: ${error.message}`
    return error.sent && changes(ask)
      ? coordinationError('BANYAN_OUTCOME_UNKNOWN', message, error)
      : coordinationError('BANYAN_COORDINATOR_UNAVAILABLE', message, error)
  }

  async #send(ask: Ask, signal: AbortSignal): Promise<IncomingMessage> {
    const { method, path, query, body, contentType = 'application/json' } = ask
    const applied = await this.#applied()
    return exchange({
      url: new URL(this.#server + withQuery(path, query)),
      options: {
        ...applied,
        // What is connected serves for the next request too; only a proxy is reached by their own.
        agent: this.#proxied ? applied.agent : this.#agent,
        method,
        headers: {
          ...(applied.headers as OutgoingHttpHeaders),
          accept: 'application/json',
          'user-agent': 'banyan',
          // Node says how long it is only of methods that usually have a body, and DELETE is none of them.
          ...(body !== undefined && {
            'content-type': contentType,
            'content-length': Buffer.byteLength(body),
          }),
        },
      },
      body,
      timeout: this.#timeout,
      signal,
      clock: this.runtime.clock,
    })
  }

  async #read(response: IncomingMessage, signal: AbortSignal): Promise<unknown> {
    const text = await bodyOf(response, { timeout: this.#timeout, signal, clock: this.runtime.clock })
    if (!/\bjson\b/.test(response.headers['content-type'] ?? '')) return text
    try {
      return JSON.parse(text) as unknown
    } catch (error) {
      throw new UnansweredError(`the answer is no JSON: ${String(error)}`, true, error)
    }
  }

  /** What of a request says who asks. */
  #applied(): Promise<RequestOptions> {
    const now = this.runtime.clock.now()
    if (!this.#credentials || now >= this.#credentials.until)
      this.#credentials = { options: this.#apply(), until: now + CREDENTIALS_MS }
    return this.#credentials.options
  }

  async #apply(): Promise<RequestOptions> {
    const options: RequestOptions = {}
    try {
      await this.#config.applyToHTTPSOptions(options)
      return options
    } catch (error) {
      this.#credentials = undefined
      throw coordinationError(
        'BANYAN_COORDINATOR_UNAVAILABLE',
        `the kubeconfig cannot be used: ${error instanceof Error ? error.message : String(error)}`,
        error,
      )
    }
  }
}

/** What is only tried changes nothing. */
function changes({ method, query }: Ask): boolean {
  return method !== 'GET' && query?.['dryRun'] === undefined
}

function isSuccess({ statusCode = 0 }: IncomingMessage): boolean {
  return statusCode >= 200 && statusCode < 300
}
