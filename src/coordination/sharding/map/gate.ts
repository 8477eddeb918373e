/** Lets so many work at the same time; the others wait in order. */
export class Gate {
  readonly #limit: number
  readonly #waiting: (() => void)[] = []
  #inside = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  async pass<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#inside >= this.#limit) await new Promise<void>((enter) => this.#waiting.push(enter))
    else this.#inside++
    try {
      return await work()
    } finally {
      // Whoever is next comes in its place.
      const next = this.#waiting.shift()
      if (next) next()
      else this.#inside--
    }
  }
}
