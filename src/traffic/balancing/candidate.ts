/** What a balancer looks at. */
export interface Candidate {
  /** Share against the others; 0 takes nothing. */
  readonly weight: number
  /** Requests under way. */
  readonly active: number
  /** Whether a request would be let through now. */
  ready(): boolean
}

/** Chooses an endpoint for each request. */
export interface Balancer<C extends Candidate> {
  /**
   * @param avoid - not this one, if there is any other choice: it has just failed
   * @returns `undefined` if none is ready
   */
  pick(avoid?: C): C | undefined
}

/** The candidates that can be chosen at all: ready, with weight, and not the avoided one unless it is all there is. */
export function choices<C extends Candidate>(candidates: readonly C[], avoid: C | undefined): readonly C[] {
  const ready = candidates.filter((candidate) => candidate.weight > 0 && candidate.ready())
  if (avoid === undefined || ready.length < 2) return ready
  return ready.filter((candidate) => candidate !== avoid)
}
