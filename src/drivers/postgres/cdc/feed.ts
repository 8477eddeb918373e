import type { Connection } from 'pg'
import type { Timer } from '../../../core/clock.js'
import type { Runtime } from '../../../core/runtime.js'
import { decodeOutput, type Output } from './pgoutput.js'

/** Bytes that wait to be taken before the server is made to wait. */
const WAITING_BYTES = 2 * 1024 * 1024
/** How often the server is told how far we are: well below its `wal_sender_timeout`, which is 60 s by default. */
const STATUS_MS = 2000
/** A server that is asked and says nothing for so long is not there any more. */
const SILENCE_MS = 30_000
/** How long the server may take to end the stream, in ms. */
const ENDING_MS = 1000

const DATA = 0x77
const KEEPALIVE = 0x6b
const STATUS = 0x72

/** What comes over a connection for replication. */
export type FeedMessage = Output | { readonly kind: 'progress'; readonly end: bigint }

/** The connection as `pg` hands it to what is submitted; its types leave out what copies data to the server. */
interface ReplicationConnection extends Connection {
  sendCopyFromChunk(chunk: Buffer): void
  endCopyFrom(): void
}

/**
 * A stream of replication (PostgreSQL documentation, "Streaming Replication Protocol") on a client of `pg`, submitted to it as
 * cursors are. Reads no more than is taken, and goes on telling the server how far we are while nobody takes anything.
 */
export class Feed {
  readonly #sql: string
  readonly #runtime: Runtime
  #connection: ReplicationConnection | undefined
  #messages: FeedMessage[] = []
  #bytes = 0
  #confirmed: bigint
  #isPaused = false
  #isWoken = false
  #heard: number
  #failure: Error | undefined
  #wake: (() => void) | undefined
  #ended: (() => void) | undefined
  #timer: Timer | undefined

  constructor(sql: string, confirmed: bigint, runtime: Runtime) {
    this.#sql = sql
    this.#confirmed = confirmed
    this.#runtime = runtime
    this.#heard = runtime.clock.now()
  }

  /** Waits for messages; none if it was woken. */
  async next(): Promise<readonly FeedMessage[]> {
    if (this.#messages.length === 0 && !this.#failure && !this.#isWoken)
      await new Promise<void>((resolve) => (this.#wake = resolve))
    this.#isWoken = false
    // What came before the connection broke is still good.
    if (this.#messages.length === 0 && this.#failure) throw this.#failure
    const messages = this.#messages
    this.#messages = []
    this.#bytes = 0
    if (this.#isPaused) {
      this.#isPaused = false
      // While it was paused nothing could be heard.
      this.#heard = this.#runtime.clock.now()
      this.#connection?.stream.resume()
    }
    return messages
  }

  wake(): void {
    this.#isWoken = true
    this.#notify()
    this.#sendStatus(true)
  }

  acknowledge(lsn: bigint): void {
    if (lsn > this.#confirmed) this.#confirmed = lsn
  }

  /** Tells the server for the last time how far we are, and waits until it has let go of the slot. */
  async close(): Promise<void> {
    const connection = this.#connection
    this.#connection = undefined
    this.#timer?.cancel()
    if (connection && !this.#failure) {
      this.#failure = new Error('the capture was closed')
      connection.sendCopyFromChunk(this.#status(false))
      connection.endCopyFrom()
      // What the server has under way is not looked at any more.
      connection.stream.resume()
      const { clock } = this.#runtime
      await new Promise<void>((resolve) => {
        const timer = clock.schedule(clock.now() + ENDING_MS, resolve)
        this.#ended = () => {
          timer.cancel()
          resolve()
        }
      })
    }
    this.#notify()
  }

  /** Called by `pg`. */
  submit(connection: Connection): void {
    this.#connection = connection as ReplicationConnection
    connection.query(this.#sql)
    this.#tick()
  }

  /** Called by `pg`. */
  handleCopyData({ chunk }: { chunk: Buffer }): void {
    if (this.#failure) return
    this.#heard = this.#runtime.clock.now()
    if (chunk[0] === KEEPALIVE) {
      this.#messages.push({ kind: 'progress', end: chunk.readBigUInt64BE(1) })
      if (chunk[17] === 1) this.#sendStatus(false)
    } else if (chunk[0] === DATA) {
      const message = decodeOutput(chunk.subarray(25))
      if (!message) return
      this.#messages.push(message)
      this.#bytes += chunk.length
      if (this.#bytes > WAITING_BYTES && !this.#isPaused) {
        this.#isPaused = true
        this.#connection?.stream.pause()
      }
    }
    this.#notify()
  }

  /** Called by `pg`, also if the connection breaks. */
  handleError(error: Error): void {
    this.#failure ??= error
    this.#timer?.cancel()
    this.#ended?.()
    this.#notify()
  }

  /** Called by `pg`: the server has ended the stream. */
  handleReadyForQuery(): void {
    this.handleError(new Error('the server has ended the stream'))
  }

  handleCommandComplete(): void {
    // It is over once the server is ready.
  }

  #tick(): void {
    const { clock } = this.#runtime
    if (!this.#isPaused && clock.now() - this.#heard > SILENCE_MS) {
      this.handleError(new Error(`the server has said nothing for ${SILENCE_MS / 1000} s`))
      return
    }
    if (clock.now() - this.#heard > SILENCE_MS / 3) this.#sendStatus(true)
    else this.#sendStatus(false)
    this.#timer = clock.schedule(clock.now() + STATUS_MS, () => this.#tick())
  }

  #sendStatus(asks: boolean): void {
    if (this.#failure) return
    this.#connection?.sendCopyFromChunk(this.#status(asks))
  }

  #status(asks: boolean): Buffer {
    const status = Buffer.alloc(34)
    status[0] = STATUS
    // Written, flushed and applied are the same here: it is in the log, or it is not.
    for (const at of [1, 9, 17]) status.writeBigUInt64BE(this.#confirmed, at)
    status[33] = asks ? 1 : 0
    return status
  }

  #notify(): void {
    this.#wake?.()
    this.#wake = undefined
  }
}
