import { readFileSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { BanyanError } from '../../../../core/errors.js'
import type { Runtime } from '../../../../core/runtime.js'

/** How long a look at the file holds, in ms. */
const LOOK_AGAIN_MS = 1_000

/** A larger file is a mistake. */
const MOST_BYTES = 16 * 1024 * 1024

/**
 * What a file says, read again when it has changed. Whoever asks waits for a look at the file that is no older than a
 * second, so what was taken out of it is out within a second, with no timer and no watcher that might miss a rename.
 * A file that can no longer be read, or is wrong, leaves what it said before in force.
 */
export class WatchedFile<Value> {
  readonly #path: string
  readonly #parse: (text: string) => Value
  readonly #runtime: Runtime
  readonly #owner: string
  #value: Value
  #stamp = ''
  #lookedAt: number
  #looking: Promise<Value> | undefined = undefined
  #complaint: string | undefined = undefined

  /**
   * @param owner - who asks for it, for errors and logs
   * @param parse - throws if the text is wrong
   * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` if the file cannot be read or is wrong
   */
  constructor(path: string, parse: (text: string) => Value, owner: string, runtime: Runtime) {
    this.#path = path
    this.#parse = parse
    this.#runtime = runtime
    this.#owner = owner
    this.#lookedAt = -Infinity
    try {
      this.#value = parse(readFileSync(path, 'utf8'))
    } catch (error) {
      throw new BanyanError('BANYAN_INVALID_OPTIONS', `${owner}: ${path}: ${(error as Error).message}`, {
        cause: error,
      })
    }
  }

  current(): Value | Promise<Value> {
    if (this.#runtime.clock.now() - this.#lookedAt < LOOK_AGAIN_MS) return this.#value
    this.#looking ??= this.#look().finally(() => (this.#looking = undefined))
    return this.#looking
  }

  async #look(): Promise<Value> {
    const { clock } = this.#runtime
    try {
      const { ino, size, mtimeMs } = await stat(this.#path)
      const stamp = `${ino} ${size} ${mtimeMs}`
      if (stamp !== this.#stamp) {
        if (size > MOST_BYTES) throw new Error(`the file is larger than ${MOST_BYTES} bytes`)
        this.#value = this.#parse(await readFile(this.#path, 'utf8'))
        this.#stamp = stamp
      }
      this.#complaint = undefined
    } catch (error) {
      this.#complain((error as Error).message)
    }
    this.#lookedAt = clock.now()
    return this.#value
  }

  /** Says each thing once, not every second. */
  #complain(message: string): void {
    if (message === this.#complaint) return
    this.#complaint = message
    this.#runtime.telemetry.log(
      'error',
      `${this.#owner}: ${this.#path} cannot be read again, what it said before stays in force`,
      { 'exception.message': message },
    )
  }
}
