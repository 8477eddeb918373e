import { once } from 'node:events'
import { constants } from 'node:os'
import { paint } from './paint.js'

/** Characters that are gathered before they are written: a write for each line would cost more than the line. */
const GATHER = 64 * 1024

/** Why a command stops before its end: a signal, or nobody reads what it writes. */
class Stop extends Error {
  readonly exitCode: number

  constructor(exitCode: number) {
    super('stopped')
    this.exitCode = exitCode
  }
}

/** Standard output, as fast as whoever reads it. */
export class Output {
  readonly #signal: AbortSignal
  #gathered = ''

  constructor(signal: AbortSignal) {
    this.#signal = signal
  }

  /** Writes a line of an output that may be long, or keeps it for a while. */
  line(text: string): Promise<void> | undefined {
    this.add(text)
    return this.#gathered.length < GATHER ? undefined : this.flush()
  }

  /** Keeps a text of one or a few lines; it is written at the end, or with what is written before that. */
  add(text: string): void {
    this.#gathered += `${text}\n`
  }

  /** Writes a value as the one JSON document of this run. */
  json(value: unknown): void {
    this.add(JSON.stringify(value, undefined, 2))
  }

  /** Writes what was kept, and waits if the reader is slower. */
  async flush(): Promise<void> {
    const text = this.#gathered
    this.#gathered = ''
    if (text === '' || this.#signal.aborted || process.stdout.write(text)) return
    await once(process.stdout, 'drain', { signal: this.#signal })
  }
}

/**
 * Runs what writes to standard output and can be interrupted. A signal aborts it, quietly, with the exit code of that
 * signal; a second one ends the process at once. A reader that goes away, as `head` does, ends it quietly with 0.
 *
 * @param endless - whether it goes on until it is interrupted; then that is no failure
 */
export async function interruptible(
  work: (output: Output, signal: AbortSignal) => Promise<void>,
  endless = false,
): Promise<void> {
  const stopping = new AbortController()
  const { signal } = stopping
  const onSignal = (name: NodeJS.Signals): void => {
    stopping.abort(new Stop(endless ? 0 : 128 + constants.signals[name]))
  }
  const onError = (error: NodeJS.ErrnoException): void => {
    stopping.abort(error.code === 'EPIPE' ? new Stop(0) : error)
  }
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal)
  process.stdout.on('error', onError)
  const output = new Output(signal)
  try {
    await work(output, signal)
    await output.flush()
  } catch (error) {
    // Whatever is thrown after the abort is what comes of stopping in the middle.
    if (!signal.aborted) throw error
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal)
  }
  if (!signal.aborted) return
  if (!(signal.reason instanceof Stop)) throw signal.reason
  process.exitCode = signal.reason.exitCode
  // What a reader has not taken would keep the process until it does.
  if (process.stdout.writableLength > 0) process.exit()
}

/** Says something to the person at the terminal that is no part of the output; a pipe or file does not get it. */
export function note(text: string): void {
  if (process.stderr.isTTY) console.error(paint('gray', text))
}

/** Characters of a line; a file or pipe takes any. */
export function lineWidth(): number {
  return process.stdout.isTTY ? process.stdout.columns : Infinity
}
