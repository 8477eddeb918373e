import { backoffWait, type Growth } from '../../../core/backoff.js'
import { sleep } from '../../../core/clock.js'
import {
  NoAnswerError,
  type Connection,
  type Metadata,
  type Stream,
  type StreamEvents,
} from './connection.js'
import { Endpoints } from './endpoints.js'
import { EtcdError, isBetterElsewhere, isSignedOut } from './fault.js'
import { AUTHENTICATE, type Method } from './methods.js'
import type { EtcdSettings, Surroundings } from './settings.js'

/** How one call is made. */
export interface CallOptions {
  /** ms until it is given up; default as the client is set. */
  readonly timeout?: number | undefined
  /** Ends it early, with the reason of the signal; what would be changed may be changed all the same. */
  readonly signal?: AbortSignal | undefined
}

const RETRIES: Growth = { base: 20, factor: 2, max: 500 }

/** What a stream is open on. */
export interface OpenStream<Given> extends Stream<Given> {
  readonly connection: Connection
  /** Says that nothing is heard on it. */
  abandon(): void
}

/**
 * Makes calls: on a connection that is up, as the user, within a time. What fails is made again as long as that can do no
 * harm: nothing was begun, or nothing is changed by it.
 */
export class Caller {
  readonly #settings: EtcdSettings
  readonly #runtime: Surroundings
  readonly #endpoints: Endpoints
  /** With the token of the user, if there is one. */
  #headers: Metadata | undefined
  #signingIn: Promise<Metadata> | undefined

  constructor(settings: EtcdSettings, runtime: Surroundings) {
    this.#settings = settings
    this.#runtime = runtime
    this.#endpoints = new Endpoints(settings, runtime)
    if (!settings.user) this.#headers = this.#headersWith(undefined)
  }

  /** Aborted when the client is closed. */
  get closing(): AbortSignal {
    return this.#endpoints.closing
  }

  /** Where etcd is, for messages. */
  get place(): string {
    return this.#endpoints.place
  }

  /** @throws EtcdError; the reason of the signal */
  async call<Given, Answer>(
    method: Method<Given, Answer>,
    request: Given,
    { timeout = this.#settings.timeout, signal }: CallOptions = {},
  ): Promise<Answer> {
    const { clock } = this.#runtime
    const until = clock.now() + timeout
    for (let failures = 1; ; failures++) {
      const left = Math.max(0, until - clock.now())
      let headers: Metadata | undefined
      try {
        const connection = await this.#endpoints.connection(left, signal)
        headers = this.#headers ?? (await this.#signIn(connection, left))
        return await this.#ask(connection, method, request, headers, until, signal)
      } catch (error) {
        if (!this.#mayRepeat(error, headers)) throw error
        const wait = backoffWait(RETRIES, failures, 'full', this.#runtime.random)
        if (clock.now() + wait >= until) throw error
        await sleep(clock, wait, signal)
      }
    }
  }

  /**
   * Opens a stream.
   *
   * @throws EtcdError if there is no connection in time, or the user cannot sign in; the reason of the signal
   */
  async open<Given, Answer>(
    method: Method<Given, Answer>,
    events: StreamEvents<Answer>,
    { timeout = this.#settings.timeout, signal }: CallOptions = {},
  ): Promise<OpenStream<Given>> {
    const connection = await this.#endpoints.connection(timeout, signal)
    const headers = this.#headers ?? (await this.#signIn(connection, timeout))
    const stream = connection.open(method, headers, {
      answer: events.answer,
      end: (error) => {
        if (isBetterElsewhere(error)) this.#endpoints.leave(connection)
        events.end(error)
      },
    })
    return { ...stream, connection, abandon: () => this.#endpoints.abandon(connection) }
  }

  /** Takes a new token for what is asked next. False if nobody signs in. */
  signOut(): boolean {
    if (this.#settings.user) this.#headers = undefined
    return this.#settings.user !== undefined
  }

  close(): void {
    this.#endpoints.close()
  }

  async #ask<Given, Answer>(
    connection: Connection,
    method: Method<Given, Answer>,
    request: Given,
    headers: Metadata,
    until: number,
    signal: AbortSignal | undefined,
  ): Promise<Answer> {
    const { clock } = this.#runtime
    const sentAt = clock.now()
    const left = Math.max(1, until - sentAt)
    // Somebody else may answer what is only read.
    const patience = method.changes || this.#endpoints.count === 1 ? left : left / 2
    try {
      return await connection.ask(method, request, headers, patience, signal)
    } catch (error) {
      // If others have had answers meanwhile, it is slow and not gone.
      if (error instanceof NoAnswerError && connection.heardAt < sentAt) this.#endpoints.abandon(connection)
      else if (isBetterElsewhere(error)) this.#endpoints.leave(connection)
      throw error
    }
  }

  /** @param headers - of the call, if it came that far */
  #mayRepeat(error: unknown, headers: Metadata | undefined): boolean {
    if (!(error instanceof EtcdError) || this.closing.aborted) return false
    if (this.#settings.user && headers && isSignedOut(error)) {
      // Others may have signed in again already.
      if (this.#headers === headers) this.#headers = undefined
      return true
    }
    return error.fault === 'unavailable'
  }

  #signIn(connection: Connection, timeout: number): Promise<Metadata> {
    this.#signingIn ??= this.#authenticate(connection, timeout).finally(() => (this.#signingIn = undefined))
    return this.#signingIn
  }

  async #authenticate(connection: Connection, timeout: number): Promise<Metadata> {
    const headers = this.#headersWith(undefined)
    try {
      const { token } = await connection.ask(AUTHENTICATE, this.#settings.user!, headers, timeout, undefined)
      this.#headers = this.#headersWith(token)
    } catch (error) {
      // A server that asks nobody who they are lets everybody in.
      if (!(error instanceof EtcdError) || !error.message.includes('authentication is not enabled'))
        throw error
      this.#headers = headers
    }
    return this.#headers
  }

  #headersWith(token: string | undefined): Metadata {
    // A member that has lost the others says so, instead of letting one wait.
    return { hasleader: 'true', ...(token !== undefined && { token }) }
  }
}
