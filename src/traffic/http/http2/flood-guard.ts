import type { Socket } from 'node:net'
import type { HttpLimits } from '../limits.js'
import type { Sweepable, Sweeper } from '../sweeper.js'

/** How often a connection is looked at, in ms. */
const PERIOD_MS = 1_000

/** Requests that a client may call off each second for good; more are taken from its stock. */
const RESETS_PER_PERIOD = 20

/** What goes with a request besides its fields: frame headers, a priority, window updates, the reset. In bytes. */
const REQUEST_OVERHEAD = 128

/** What goes with a DATA frame of a request: its header, and padding. In bytes. */
const DATA_OVERHEAD = 32

/** What a client may say to a DATA frame of ours: a window update for the stream and one for the connection. In bytes. */
const ACKNOWLEDGEMENT = 26

/** The largest part of a body that goes into one DATA frame, in bytes. */
const FRAME_BYTES = 16 * 1024

/** What a guard needs of its connection. */
export interface FloodGuardOptions {
  socket: Socket
  sweeper: Sweeper
  limits: HttpLimits
  /** Bytes of request bodies that may have come without having been seen yet. */
  mayWait: () => number
  onFlood: (kind: Flood) => void
}

/** What a client floods us with. */
export type Flood = 'control-frames' | 'resets'

/**
 * Notices a client that keeps us busy without asking for anything. Kinds of frames are not counted one by one: every
 * byte that comes in is either part of a request, or has a use that goes with requests and answers, or is waste; of
 * waste there is an allowance. So PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty and unknown frames are all bounded, in
 * any mixture, for the price of a look once a second (CVE-2019-9511 to 9518). Requests that are called off before
 * they are answered are counted apart (rapid reset, CVE-2023-44487).
 */
export class FloodGuard implements Sweepable {
  deadline: number
  readonly #socket: Socket
  readonly #sweeper: Sweeper
  readonly #limits: HttpLimits
  readonly #onFlood: (kind: Flood) => void
  readonly #mayWait: () => number
  /** Bytes with a use since the last look. */
  #useful = 0
  #bytesBefore = 0
  /** Waste that is not forgiven yet, in bytes. */
  #waste = 0
  #resets = 0

  constructor({ socket, sweeper, limits, mayWait, onFlood }: FloodGuardOptions) {
    this.#socket = socket
    this.#sweeper = sweeper
    this.#limits = limits
    this.#mayWait = mayWait
    this.#onFlood = onFlood
    this.deadline = sweeper.after(PERIOD_MS)
    sweeper.add(this)
  }

  /** A request has come, with a section of that many bytes. */
  onRequest(bytes: number): void {
    this.#useful += bytes + REQUEST_OVERHEAD
  }

  /** A part of a request's body has come. */
  onReceived(bytes: number): void {
    this.#useful += bytes + DATA_OVERHEAD
  }

  /** A part of an answer's body goes out. */
  onSent(bytes: number): void {
    this.#useful += (1 + Math.floor(bytes / FRAME_BYTES)) * ACKNOWLEDGEMENT
  }

  /** A request was called off before it was answered, or was none. */
  onReset(): void {
    if (++this.#resets > this.#limits.streamResets) this.#onFlood('resets')
  }

  expire(): void {
    const { controlBytes } = this.#limits
    const { bytesRead } = this.#socket
    this.#waste = Math.max(0, this.#waste + bytesRead - this.#bytesBefore - this.#useful)
    this.#bytesBefore = bytesRead
    this.#useful = 0
    this.#resets = Math.max(0, this.#resets - RESETS_PER_PERIOD)
    if (this.#waste > controlBytes && this.#waste > controlBytes + this.#mayWait()) {
      this.#onFlood('control-frames')
      return
    }
    this.#waste = Math.max(0, this.#waste - controlBytes)
    this.deadline = this.#sweeper.after(PERIOD_MS)
  }

  close(): void {
    this.#sweeper.delete(this)
  }
}
