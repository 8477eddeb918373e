import { closeSync, openSync, writeSync } from 'node:fs'

/** Name of the file that is written to when something was appended, so that other processes can watch it. */
export function bellOf(file: string): string {
  return `${file}-bell`
}

const RING = Buffer.from('.')

/** Tells every process that watches that there is something new. Only a hint: nothing is lost if it gets lost. */
export class Bell {
  readonly #fd: number

  constructor(file: string) {
    this.#fd = openSync(bellOf(file), 'w')
  }

  ring(): void {
    try {
      writeSync(this.#fd, RING, 0, 1, 0)
    } catch {
      // A full disk, say. Followers look from time to time as well.
    }
  }

  close(): void {
    closeSync(this.#fd)
  }
}
