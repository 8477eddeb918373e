/** How far a capture is behind its source, and what is told of it. */
export class Lag {
  /** Write-ahead log that the source keeps; undefined as long as it could not be asked. */
  bytes: number | undefined
  readonly #place: string
  readonly #most: number
  #isTold = false

  /**
   * @param place - of the source
   * @param most - bytes that may be kept before that is an error
   */
  constructor(place: string, most: number) {
    this.#place = place
    this.#most = most
  }

  /** @returns the error, if it has not been told of since it was not one */
  measured(bytes: number): LagError | undefined {
    this.bytes = bytes
    const { error } = this
    const isNew = error !== undefined && !this.#isTold
    this.#isTold = error !== undefined
    return isNew ? error : undefined
  }

  get error(): LagError | undefined {
    if (this.bytes === undefined || this.bytes <= this.#most) return undefined
    return {
      code: 'BANYAN_CAPTURE_LAGS',
      message:
        `${this.#place} keeps ${this.bytes} bytes of write-ahead log for this capture, more than ${this.#most} (maxLag). ` +
        'Find out what holds it up: `banyan cdc status`. If nobody needs it any more, remove it; so that the server never fills its disk, set max_slot_wal_keep_size there',
    }
  }
}

interface LagError {
  readonly code: string
  readonly message: string
}
