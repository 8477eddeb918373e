import { setMaxListeners } from 'node:events'
import { Socket } from 'node:net'
import type Pg from 'pg'
import type { Client, ClientConfig, CustomTypesConfig, Pool, PoolClient } from 'pg'
import { sleep, type Clock } from '../../core/clock.js'
import { ConnectError, errorOf, faultOf, isReadOnly, type Fault } from './faults.js'
import { placeOf } from './settings.js'

/** Rows of text, as the server has sent them. */
export type Rows = (string | null)[][]

/** One for groups, one for those that wait for a locked stream: appends do not wait behind reads. */
const APPENDING = 2
const RETRY_FIRST_MS = 20
const RETRY_LAST_MS = 1000
/** Whoever reads can ask again themselves, and may have lost interest. */
const READ_RETRY_MS = 3000
const IDLE_MS = 30_000
/** How long closing waits for what is asked, and for connections that are only being made. */
const CLOSING_MS = 1000

const AS_TEXT = { getTypeParser: () => (text: unknown) => text } as unknown as CustomTypesConfig

/** How to connect; times in ms. */
export interface ConnectionSettings {
  readonly url: string
  /** How many connections read, at most. */
  readonly connections: number
  /** How long a server that cannot be reached is tried again. */
  readonly retryFor: number
  /** When a server that does not answer is given up. */
  readonly answerWithin: number
}

/** The connections of one log or coordinator. All statements are unnamed and change nothing in a session: a pooler may stand between. */
export class Connections {
  /** Where the server is, for messages; without user and password. */
  readonly place: string
  readonly #settings: ConnectionSettings
  readonly #clock: Clock
  readonly #closing = new AbortController()
  readonly #pg: typeof Pg
  readonly #sockets = new Set<Socket>()
  readonly #appends: Pool
  readonly #reads: Pool

  private constructor(pg: typeof Pg, settings: ConnectionSettings, clock: Clock) {
    this.#pg = pg
    this.#settings = settings
    this.#clock = clock
    this.place = placeOf(settings.url)
    // As many wait as the application asks for at once, and that is no leak.
    setMaxListeners(0, this.#closing.signal)
    this.#appends = this.#pool(APPENDING)
    this.#reads = this.#pool(settings.connections)
  }

  /** Loads the package `pg`; connects to nothing yet. */
  static async load(settings: ConnectionSettings, clock: Clock): Promise<Connections> {
    const { default: pg } = await import('pg')
    return new Connections(pg, settings, clock)
  }

  get closed(): boolean {
    return this.#closing.signal.aborted
  }

  /** Asks once, on a connection for appending. What it throws is for {@link faultOf}. */
  ask(text: string, values: unknown[], answerWithin?: number): Promise<Rows> {
    return this.#ask(this.#appends, text, values, answerWithin)
  }

  /** Runs statements, without parameters, in one transaction, once. */
  async transaction<T>(work: (ask: (text: string) => Promise<Rows>) => Promise<T>): Promise<T> {
    const client = await this.#connected(this.#appends)
    let broken = true
    try {
      await client.query('BEGIN ISOLATION LEVEL READ COMMITTED')
      const result = await work(async (text) => {
        // A text of several statements has a result for each; only those of one are looked at.
        const { rows } = await client.query<(string | null)[]>({ text, rowMode: 'array', types: AS_TEXT })
        return rows
      })
      await client.query('COMMIT')
      broken = false
      return result
    } finally {
      // A connection that is given up takes its transaction along.
      client.release(broken)
    }
  }

  /**
   * Asks something that may be asked twice, until there is an answer.
   *
   * @param answerWithin - ms; default as it is set
   * @throws `BANYAN_LOG_UNAVAILABLE` after `retryFor`, at most 3 s, and what the server refuses
   */
  read(text: string, values: unknown[], answerWithin?: number): Promise<Rows> {
    return this.patiently(
      () => this.readOnce(text, values, answerWithin),
      (error) => errorOf(error, this.place),
      Math.min(this.#settings.retryFor, READ_RETRY_MS),
    )
  }

  /** Asks once, on a connection for reading. What it throws is for {@link faultOf}. */
  readOnce(text: string, values: unknown[], answerWithin?: number): Promise<Rows> {
    return this.#ask(this.#reads, text, values, answerWithin)
  }

  /**
   * Tries until it works, is refused, or `retryFor` ms are over.
   *
   * @param failed - is told of each fault; what it returns or throws ends it when it is to end
   */
  async patiently<T>(
    work: () => Promise<T>,
    failed: (error: unknown, fault: Fault) => Error,
    retryFor: number = this.#settings.retryFor,
  ): Promise<T> {
    const until = this.#clock.now() + retryFor
    for (let pause = RETRY_FIRST_MS; ; pause = Math.min(pause * 2, RETRY_LAST_MS)) {
      try {
        return await work()
      } catch (error) {
        const fault = faultOf(error)
        const end = failed(error, fault)
        if (fault === 'refused' || this.closed || this.#clock.now() + pause > until) throw end
        await sleep(this.#clock, pause, this.#closing.signal).catch(() => undefined)
      }
    }
  }

  /** A connection of its own, to listen on; not connected yet. */
  listener(url: string): Client {
    return new this.#pg.Client({ ...this.#options(), connectionString: url })
  }

  /** Nothing is asked any more. What was is waited for, but not for long: a server that is gone does not answer. */
  async close(): Promise<void> {
    this.#closing.abort()
    const late = this.#clock.schedule(this.#clock.now() + CLOSING_MS, () => {
      for (const socket of this.#sockets) socket.destroy()
    })
    await Promise.all([this.#appends.end(), this.#reads.end()])
    late.cancel()
  }

  async #ask(pool: Pool, text: string, values: unknown[], query_timeout?: number): Promise<Rows> {
    const client = await this.#connected(pool)
    let broken = true
    try {
      const query = { text, values, rowMode: 'array' as const, types: AS_TEXT, query_timeout }
      const { rows } = await client.query<(string | null)[]>(query)
      broken = false
      return rows
    } catch (error) {
      // Other errors leave the connection as it was; after a timeout its answer may still come. A server that only reads
      // was the right one once: the same address may lead to another by now.
      broken = faultOf(error) === 'lost' || isReadOnly(error)
      throw error
    } finally {
      client.release(broken)
    }
  }

  /** A pool that ends forgets those who wait for one of its connections: they are told here. */
  #connected(pool: Pool): Promise<PoolClient> {
    const { signal } = this.#closing
    return new Promise((resolve, reject) => {
      const connecting = pool.connect()
      const abort = (): void => {
        reject(new ConnectError(new Error('it is closed')))
        connecting.then(
          (client) => client.release(),
          () => undefined,
        )
      }
      signal.addEventListener('abort', abort, { once: true })
      connecting
        .then(resolve, (error: unknown) => reject(new ConnectError(error)))
        .finally(() => signal.removeEventListener('abort', abort))
    })
  }

  #pool(max: number): Pool {
    const Client = pooledClient(this.#pg, () => this.#socket())
    const pool = new this.#pg.Pool({ ...this.#options(), Client, max, idleTimeoutMillis: IDLE_MS })
    // One that breaks while nobody uses it leaves the pool; whoever asks next gets another.
    pool.on('error', () => undefined)
    // One that breaks while it is used tells whoever uses it, and everybody: without a listener that ends the process.
    pool.on('connect', (client) => void client.on('error', () => undefined))
    return pool
  }

  /** What a connection is made on, also one with TLS. */
  #socket(): Socket {
    const socket = new Socket()
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    return socket
  }

  #options() {
    const { url, answerWithin } = this.#settings
    return {
      connectionString: url,
      application_name: 'banyan',
      keepAlive: true,
      connectionTimeoutMillis: Math.min(answerWithin, 10_000),
      query_timeout: answerWithin,
    }
  }
}

/** Closes its socket when it cannot connect: `pg` leaves it open where it fails itself, as without a password that it is asked for. */
function pooledClient(pg: typeof Pg, socketOf: () => Socket): typeof Pg.Client {
  return class extends pg.Client {
    constructor(config?: string | ClientConfig) {
      const socket = socketOf()
      super({ ...(config as ClientConfig), stream: () => socket })
      // A pool connects with a callback, and only so.
      const connect = this.connect.bind(this) as (told: (error?: Error | null) => void) => void
      const closing = (told: (error?: Error | null) => void): void =>
        connect((error) => {
          if (error) socket.destroy()
          told(error)
        })
      this.connect = closing as Client['connect']
    }
  }
}
