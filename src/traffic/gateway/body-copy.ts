/** A copy of a body that passes by, up to a bound. */
export class BodyCopy {
  readonly #most: number
  #parts: Buffer[] | undefined = []
  #length = 0
  #complete = false

  /** @param most - bytes; nothing is kept of a longer body */
  constructor(most: number) {
    this.#most = most
  }

  push(data: Buffer): void {
    this.#length += data.length
    if (this.#length > this.#most) this.#parts = undefined
    this.#parts?.push(data)
  }

  finish(): void {
    this.#complete = true
  }

  /** The whole body; `undefined` if it was too long, or has not come in full. */
  take(): Buffer | undefined {
    const parts = this.#complete ? this.#parts : undefined
    this.#parts = undefined
    return parts && Buffer.concat(parts)
  }
}
