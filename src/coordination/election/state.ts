import type { Leader } from './picture.js'
import type { TermEnd } from './term.js'

/**
 * What one candidate is:
 *
 * ```text
 * candidate <-> follower -> leading -> stopping -> candidate ... -> closed
 * ```
 */
export type ElectionState =
  /** Nobody leads, as far as it sees. */
  | (Waiting & { readonly kind: 'candidate' })
  /** Somebody else leads, as far as it sees. */
  | (Waiting & { readonly kind: 'follower'; readonly leader: Leader })
  /** It leads. */
  | { readonly kind: 'leading'; readonly token: number; readonly since: number }
  /** It leads no more, and its work has not ended yet. */
  | {
      readonly kind: 'stopping'
      readonly token: number
      readonly since: number
      readonly why: TermEnd
      readonly failure?: unknown
    }
  /** It takes part no more. */
  | { readonly kind: 'closed'; readonly failure?: unknown }

interface Waiting {
  /** Its place in line, from 1; without it, it is not in line: it waits for the engine, for a while, or there is no line. */
  readonly place?: number
  /** Why its last term has ended, if that was `onLead`'s fault, or what keeps it out of the line. */
  readonly failure?: unknown
}

/** Whether nothing has changed for those who watch. */
export function isSameState(a: ElectionState, b: ElectionState): boolean {
  if (a.kind !== b.kind) return false
  const [before, after] = [a, b].map((state) => ({
    token: 0,
    leader: undefined,
    place: 0,
    failure: undefined,
    ...state,
  }))
  return (
    before!.token === after!.token &&
    before!.leader?.token === after!.leader?.token &&
    before!.place === after!.place &&
    before!.failure === after!.failure
  )
}
