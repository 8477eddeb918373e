import type { Conflict } from '../../events/index.js'
import { printable } from './show/printable.js'

/** The exit code for a stream that is not as expected: whoever ran the command may read again and decide anew. */
export const CONFLICT = 3

/** What is, and what was expected. */
export function conflictText({ stream, expected, actual }: Conflict): string {
  const is = actual === 'none' ? 'was never written' : `is at revision ${actual}`
  return `${printable(stream)} ${is}, expected ${expectedText(expected)}`
}

function expectedText(expected: Conflict['expected']): string {
  switch (expected) {
    case 'none':
      return 'a stream that was never written'
    case 'exists':
      return 'a stream that was written'
    default:
      return expected === 'any' ? 'anything' : `revision ${expected}`
  }
}
