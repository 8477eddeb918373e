import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import { eventError } from '../../events/errors.js'
import { formatPosition, parsePosition } from '../../events/position.js'

/** Name of the file beside the log that has the position of the last event that was acknowledged. */
export function headFileOf(file: string): string {
  return `${file}-head`
}

/**
 * Says where the log ends, each time after events have become durable. Other processes watch it to know when to look. And
 * it is a witness: a log that ends before it has lost what was acknowledged.
 */
export class HeadFile {
  readonly #fd: number

  constructor(file: string) {
    this.#fd = openSync(headFileOf(file), 'a')
    closeSync(this.#fd)
    this.#fd = openSync(headFileOf(file), 'r+')
  }

  /** The log ends at least there. */
  write(head: number): void {
    try {
      writeSync(this.#fd, formatPosition(head), 0, 'latin1')
    } catch {
      // A full disk, say. Whoever watches also looks from time to time.
    }
  }

  close(): void {
    closeSync(this.#fd)
  }
}

/** The position in the file; 0 if there is none. */
export function witnessedHead(file: string): number {
  try {
    return parsePosition(readFileSync(headFileOf(file), 'latin1'))
  } catch {
    return 0
  }
}

/**
 * Compares a log with what was witnessed before it was opened.
 *
 * @throws `BANYAN_LOG_CORRUPT`
 */
export function checkWitness(file: string, head: number, witnessed: number): void {
  if (head >= witnessed) return
  throw eventError(
    'BANYAN_LOG_CORRUPT',
    `${file} ends at position ${formatPosition(head)}, but events up to ${formatPosition(witnessed)} had been acknowledged: ` +
      `its write-ahead log (${file}-wal) was damaged or removed, or the file was replaced by an older one. Nothing was changed. ` +
      `Restore a backup with \`banyan events restore\`; to go on without those events, remove ${headFileOf(file)}`,
  )
}
