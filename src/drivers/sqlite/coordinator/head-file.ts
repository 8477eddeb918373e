import { closeSync, openSync, readFileSync, readSync, writeSync } from 'node:fs'
import type { Clock, Timer } from '../../../core/clock.js'
import { headFileOf } from '../head-file.js'

/** What the file says; both numbers have so many digits. */
const DIGITS = 16
const LENGTH = 2 * DIGITS + 2

/** Other processes are told of changes at most so often, in ms. */
const TELL_MS = 1

/** Where the changes end, and up to where they would outlive a loss of power. */
export interface Heads {
  readonly revision: number
  readonly durable: number
}

/**
 * Says, beside the database, how far its changes have come. Other processes watch it to know when to look; and it is a
 * witness against a database that was put back to an earlier state. It is never ahead of the database, and may be behind it.
 */
export class HeadFile {
  readonly #fd: number
  readonly #buffer = Buffer.alloc(LENGTH)
  readonly #clock: Clock
  readonly #heads: () => Heads
  #timer: Timer | undefined
  #told = -Infinity

  /** @param heads - how far they have come */
  constructor(file: string, clock: Clock, heads: () => Heads) {
    this.#clock = clock
    this.#heads = heads
    const path = headFileOf(file)
    closeSync(openSync(path, 'a'))
    this.#fd = openSync(path, 'r+')
  }

  /** Tells other processes that changes have come further: at once, unless that was not long ago. */
  tell(): void {
    if (this.#timer) return
    const next = this.#told + TELL_MS
    if (this.#clock.now() >= next) this.#write()
    else this.#timer = this.#clock.schedule(next, this.#write)
  }

  read(): Heads {
    try {
      return parse(this.#buffer.toString('latin1', 0, readSync(this.#fd, this.#buffer, 0, LENGTH, 0)))
    } catch {
      return NONE
    }
  }

  close(): void {
    this.#timer?.cancel()
    this.#write()
    closeSync(this.#fd)
  }

  readonly #write = (): void => {
    this.#timer = undefined
    this.#told = this.#clock.now()
    const { revision, durable } = this.#heads()
    try {
      writeSync(this.#fd, `${digits(revision)} ${digits(durable)}\n`, 0, 'latin1')
    } catch {
      // A full disk, say. Whoever watches also looks from time to time.
    }
  }
}

/** What the file beside a database says; zeros if there is none. */
export function readHeads(file: string): Heads {
  try {
    return parse(readFileSync(headFileOf(file), 'latin1'))
  } catch {
    return NONE
  }
}

const NONE: Heads = { revision: 0, durable: 0 }

function parse(text: string): Heads {
  const [, revision, durable] = /^(\d{16}) (\d{16})\n$/.exec(text) ?? []
  return revision === undefined ? NONE : { revision: Number(revision), durable: Number(durable) }
}

function digits(number: number): string {
  return String(number).padStart(DIGITS, '0')
}
