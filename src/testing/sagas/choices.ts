/** A place in a run where things can go several ways. */
interface Point {
  readonly options: readonly string[]
  readonly taken: number
}

/** Decides what happens at each point of one run: as it is told at first, then always the first option, which is no fault. */
export class Decisions {
  readonly points: Point[] = []
  readonly #prefix: readonly number[]

  constructor(prefix: readonly number[]) {
    this.#prefix = prefix
  }

  /** @returns the option that is taken */
  take<Option extends string>(options: readonly Option[]): Option {
    const taken = this.#prefix[this.points.length] ?? 0
    this.points.push({ options, taken })
    return options[taken]!
  }
}

/**
 * Every way that a run can go with up to so many faults, the fewest first: each is run from its start, with other decisions
 * (Godefroid, "Model checking for programming languages using VeriSoft", POPL 1997).
 *
 * @param run - one run, which must go the same way if it is decided the same
 * @param limits - at most so many runs
 * @returns how many there were, and whether that was all
 */
export async function everyWay(
  faults: number,
  limits: { readonly runs: number },
  run: (decisions: Decisions) => Promise<void>,
): Promise<{ runs: number; complete: boolean }> {
  let runs = 0
  let now: (readonly number[])[] = [[]]
  for (let count = 0; count <= faults; count++) {
    const next: (readonly number[])[] = []
    for (const prefix of now) {
      if (runs === limits.runs) return { runs, complete: false }
      runs++
      const decisions = new Decisions(prefix)
      await run(decisions)
      const taken = decisions.points.map((point) => point.taken)
      for (let at = prefix.length; at < taken.length; at++)
        for (let option = 1; option < decisions.points[at]!.options.length; option++)
          next.push([...taken.slice(0, at), option])
    }
    now = next
  }
  return { runs, complete: true }
}
