import { close, fstat, open, stat, write } from 'node:fs'
import { promisify } from 'node:util'
import type { Clock, Timer } from '../../core/clock.js'
import { BanyanError } from '../../core/errors.js'

const openFile = promisify(open)
const closeFile = promisify(close)
const statPath = promisify(stat)
const statFile = promisify(fstat)

/** How long lines wait for others to go with, in ms. */
const GATHER_MS = 100

/** As many characters are written without waiting for more. */
const GATHERED = 64 * 1024

/** How often a file is looked for where it should be, in ms. */
const LOOK_MS = 1_000

/** How long a pipe that takes nothing is left alone, in ms. */
const RETRY_MS = 10

/** How long the last lines may take to be written, in ms. */
const CLOSE_MS = 2_000

/** Where lines go. */
export interface LineOutputOptions {
  /** `stdout`, `stderr`, or a path. */
  to: string
  clock: Clock
  /** Characters that may wait. */
  most: number
  /** Lines were lost: dropped as too many waited, or not written for that error. */
  onLost: (lines: number, error: Error | undefined) => void
}

/**
 * Lines on their way to a file or pipe. Nothing here waits for a disk: what comes is gathered and written in one piece
 * by the thread pool, one piece at a time; what comes faster than it can be written is dropped and counted. A file
 * that was moved away is opened anew.
 */
export class LineOutput {
  readonly #options: LineOutputOptions
  /** Nothing to open, nothing to close: the process has it. */
  readonly #standard: boolean
  #file: number
  #lines: string[] = []
  #size = 0
  #timer: Timer | undefined = undefined
  #writing = false
  #reopen = false
  #lookedAt: number
  #closing = false
  #idle: (() => void)[] = []

  private constructor(options: LineOutputOptions, file: number, standard: boolean) {
    this.#options = options
    this.#file = file
    this.#standard = standard
    this.#lookedAt = options.clock.now()
  }

  /**
   * Opens the file.
   *
   * @throws {@link BanyanError} `BANYAN_ACCESS_LOG` if it cannot be written to
   */
  static async open(options: LineOutputOptions): Promise<LineOutput> {
    const { to } = options
    if (to === 'stdout' || to === 'stderr') return new LineOutput(options, to === 'stdout' ? 1 : 2, true)
    try {
      return new LineOutput(options, await openForAppending(to), false)
    } catch (error) {
      const message = `accessLog.output: cannot write to \`${to}\`: ${(error as Error).message}`
      throw new BanyanError('BANYAN_ACCESS_LOG', message, { cause: error })
    }
  }

  /** Takes a line with its line break; false if too many wait and it was dropped. */
  write(line: string): boolean {
    if (this.#closing || this.#size + line.length > this.#options.most) {
      this.#options.onLost(1, undefined)
      return false
    }
    this.#lines.push(line)
    this.#size += line.length
    if (this.#writing) return true
    if (this.#size >= GATHERED) this.#flush()
    else this.#timer ??= this.#after(GATHER_MS)
    return true
  }

  /** Opens the file anew with the next lines, after it was moved away. */
  reopen(): void {
    this.#reopen = !this.#standard
  }

  /** Writes what waits, and ends; what cannot be written soon is lost. */
  async close(): Promise<void> {
    if (this.#closing) return
    this.#closing = true
    const { clock, onLost } = this.#options
    let timer: Timer | undefined
    await Promise.race([
      this.#drained(),
      new Promise<void>((resolve) => {
        timer = clock.schedule(clock.now() + CLOSE_MS, resolve)
      }),
    ])
    timer?.cancel()
    this.#timer?.cancel()
    if (this.#lines.length > 0) onLost(this.#lines.length, undefined)
    this.#lines = []
    if (!this.#standard && !this.#writing) await closeFile(this.#file).catch(() => undefined)
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#idle.push(resolve)
      this.#flush()
    })
  }

  #after(ms: number): Timer {
    const { clock } = this.#options
    return clock.schedule(clock.now() + ms, () => {
      this.#timer = undefined
      this.#flush()
    })
  }

  #flush(): void {
    if (this.#writing) return
    this.#timer?.cancel()
    this.#timer = undefined
    if (this.#lines.length === 0) {
      for (const resolve of this.#idle.splice(0)) resolve()
      return
    }
    const lines = this.#lines
    this.#lines = []
    this.#writing = true
    const taken = this.#size
    void this.#put(lines).then(() => {
      this.#writing = false
      this.#size -= taken
      if (this.#lines.length > 0 && (this.#size >= GATHERED || this.#closing)) this.#flush()
      else if (this.#lines.length > 0) this.#timer ??= this.#after(GATHER_MS)
      else for (const resolve of this.#idle.splice(0)) resolve()
    })
  }

  /** Writes lines in one piece. Never rejects. */
  async #put(lines: readonly string[]): Promise<void> {
    let rest = Buffer.from(lines.join(''))
    try {
      await this.#follow()
      while (rest.length > 0) rest = rest.subarray(await this.#writeSome(rest))
    } catch (error) {
      this.#options.onLost(lines.length, error as Error)
    }
  }

  #writeSome(data: Buffer): Promise<number> {
    return new Promise((resolve, reject) => {
      write(this.#file, data, (error, bytes) => {
        if (!error) resolve(bytes)
        // A pipe that others have made non-blocking, and whose reader is slow.
        else if (error.code === 'EAGAIN')
          this.#options.clock.schedule(this.#options.clock.now() + RETRY_MS, () => resolve(0))
        else reject(error)
      })
    })
  }

  /** Makes sure that the file is the one of that name. */
  async #follow(): Promise<void> {
    const { clock, to } = this.#options
    if (this.#standard) return
    if (!this.#reopen && clock.now() - this.#lookedAt < LOOK_MS) return
    this.#lookedAt = clock.now()
    if (!this.#reopen) {
      const [own, there] = await Promise.all([statFile(this.#file), statPath(to).catch(() => undefined)])
      if (there?.ino === own.ino && there.dev === own.dev) return
    }
    const file = await openForAppending(to)
    const before = this.#file
    this.#file = file
    this.#reopen = false
    await closeFile(before).catch(() => undefined)
  }
}

/** Others of the group may read it, nobody else: it tells who asked for what. */
function openForAppending(path: string): Promise<number> {
  return openFile(path, 'a', 0o640)
}
