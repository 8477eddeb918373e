import type { Coordinator } from '../coordinator.js'
import { happeningsIn, rewriteHistory } from '../history.js'
import { KEYSPACE, segment } from '../keyspace.js'
import type { TermEnd } from './term.js'

/** A term of the past, or the present one. */
export interface PastTerm {
  readonly holder: string
  readonly token: number
  /** In ms since the epoch. */
  readonly since: number
  /** In ms since the epoch, when it ended; of a leader that was gone, when the next one took over. */
  readonly until?: number
  /** `gone`: nothing was heard of it. */
  readonly why?: TermEnd | 'gone'
}

/** Keeps the last terms of one election; whoever leads writes. */
export class TermHistory {
  readonly #coordinator: Coordinator
  readonly #path: string
  #writing: Promise<void> = Promise.resolve()

  constructor(coordinator: Coordinator, name: string) {
    this.#coordinator = coordinator
    this.#path = pathOf(name)
  }

  began(term: PastTerm): void {
    this.#change((terms) => inOrder([...terms, term]))
  }

  ended(token: number, why: TermEnd): void {
    const until = this.#coordinator.runtime.clock.wall()
    this.#change((terms) => terms.map((past) => (past.token === token ? { ...past, until, why } : past)))
  }

  /** Resolves when everything is written, or given up. */
  written(): Promise<void> {
    return this.#writing
  }

  #change(change: (terms: readonly PastTerm[]) => PastTerm[]): void {
    this.#writing = this.#writing.then(() =>
      rewriteHistory(this.#coordinator, this.#path, (terms) => change(terms as PastTerm[])),
    )
  }
}

/** By token, as a leader that stood still writes late. Whoever has not written its end has been followed by the next. */
function inOrder(terms: readonly PastTerm[]): PastTerm[] {
  const sorted = [...terms].sort((a, b) => a.token - b.token)
  return sorted.map((term, index): PastTerm => {
    const next = sorted[index + 1]
    return term.until === undefined && next ? { ...term, until: next.since, why: 'gone' } : term
  })
}

function pathOf(name: string): string {
  return `elections/${segment(name)}`
}

/** Where the terms of an election are kept. */
export function historyKeyOf(name: string): string {
  return KEYSPACE.history + pathOf(name)
}

/** The terms that a value of a history tells, oldest first. */
export function termsIn(value: string | undefined): PastTerm[] {
  return happeningsIn(value) as PastTerm[]
}
