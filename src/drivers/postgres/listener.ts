import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import type { Client } from 'pg'
import { sleep, type Clock } from '../../core/clock.js'

const RETRY_FIRST_MS = 100
const RETRY_LAST_MS = 5000

/** What a listener tells. */
export interface News {
  /** The log ends at least here now. */
  head(position: number): void
  /** Something may have been appended: on a new connection, or in a transaction of an application. */
  something(): void
}

/**
 * A connection that listens for `NOTIFY`, and is made again when it breaks. What it tells only makes followers faster:
 * it counts as hearing once it has heard a probe, which it never does through a pooler with transaction pooling.
 */
export class Listener {
  /** Whether notifications arrive. */
  hears = false
  readonly #connect: () => Client
  readonly #channel: string
  readonly #probe: (channel: string, payload: string) => Promise<unknown>
  readonly #news: News
  readonly #clock: Clock
  readonly #closing = new AbortController()
  #client: Client | undefined
  #running: Promise<void> | undefined

  /**
   * @param connect - makes a client that is not connected yet
   * @param probe - notifies by another connection
   */
  constructor(
    connect: () => Client,
    channel: string,
    probe: (channel: string, payload: string) => Promise<unknown>,
    news: News,
    clock: Clock,
  ) {
    this.#connect = connect
    this.#channel = channel
    this.#probe = probe
    this.#news = news
    this.#clock = clock
  }

  /** Begins to listen, if it has not. */
  start(): void {
    this.#running ??= this.#run()
  }

  /** Takes another connection: this one is deaf. */
  renew(): void {
    this.hears = false
    // Its own goodbye would wait for a connection that is only being made, or for a server that does not answer.
    const { connection } = (this.#client ?? {}) as { connection?: { stream: Socket } }
    connection?.stream.destroy()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.renew()
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    for (let pause = RETRY_FIRST_MS; !signal.aborted; pause = Math.min(pause * 2, RETRY_LAST_MS)) {
      const client = this.#connect()
      this.#client = client
      const ended = new Promise<void>((resolve) => {
        client.on('error', () => resolve())
        client.on('end', () => resolve())
      })
      try {
        await this.#listen(client)
        pause = RETRY_FIRST_MS
        // What was told before it listened has told nobody.
        this.#news.something()
        await ended
      } catch {
        // It is tried again; until then followers look for themselves.
      }
      this.hears = false
      // Until it hears again, followers look for themselves more often.
      this.#news.something()
      await client.end().catch(() => undefined)
      await sleep(this.#clock, pause, signal).catch(() => undefined)
    }
  }

  async #listen(client: Client): Promise<void> {
    const probe = `probe ${randomUUID()}`
    client.on('notification', ({ channel, payload = '' }) => {
      if (channel !== this.#channel) return
      if (payload === probe) this.hears = true
      else if (payload === '') this.#news.something()
      else if (/^\d+$/.test(payload)) this.#news.head(Number(payload))
    })
    await client.connect()
    await client.query(`LISTEN "${this.#channel}"`)
    await this.#probe(this.#channel, probe)
  }
}
