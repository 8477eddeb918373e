import { numberOfPart, type OwnedPart } from '../../owned-part.js'

/** What parts are worked on with. */
export interface PartsContext {
  /** Of the subscription, for messages. */
  readonly owner: string
  /** How many there are. */
  readonly partitions: number
  /** Nothing is worked on any more. */
  readonly closing: AbortSignal
  /** A partition can be taken. */
  readonly begin: (partition: number) => void
  /** It is not this process's any more: whatever is in flight does not count. */
  readonly lost: (partition: number) => void
  /** Resolves when it is given back, with what is in flight settled. */
  readonly giveBack: (partition: number) => Promise<void>
}

/** The partitions that a shard map has given to this process. */
export class Parts {
  readonly #context: PartsContext
  readonly #parts = new Map<number, OwnedPart>()
  /** A partition is worked on for one part after the other: the halves of a bucket come before it is given up. */
  readonly #turns = new Map<number, Promise<void>>()

  constructor(context: PartsContext) {
    this.#context = context
  }

  /** The partitions that are to be worked on. */
  get partitions(): readonly number[] {
    return [...this.#parts.keys()].filter((partition) => this.has(partition))
  }

  /** Whether a partition is to be worked on, as the clock says at this moment. */
  has(partition: number): boolean {
    const part = this.#parts.get(partition)
    return part?.held === true
  }

  get(partition: number): OwnedPart | undefined {
    return this.#parts.get(partition)
  }

  /** Works on a part until it is over, and has given it back then. */
  async own(part: OwnedPart): Promise<void> {
    const { owner, partitions } = this.#context
    const partition = numberOfPart(owner, part, partitions)
    if (partition === undefined) {
      await this.#over(part)
      return
    }
    const before = this.#turns.get(partition)
    const turn = before ? before.then(() => this.#work(partition, part)) : this.#work(partition, part)
    this.#turns.set(partition, turn)
    await turn
    if (this.#turns.get(partition) === turn) this.#turns.delete(partition)
  }

  async #work(partition: number, part: OwnedPart): Promise<void> {
    const { begin, lost, giveBack } = this.#context
    const onLost = (): void => lost(partition)
    part.lease.signal.addEventListener('abort', onLost)
    try {
      if (!part.signal.aborted) {
        this.#parts.set(partition, part)
        begin(partition)
        await this.#over(part)
        this.#parts.delete(partition)
      }
      if (!part.lease.held) lost(partition)
      await giveBack(partition)
    } finally {
      part.lease.signal.removeEventListener('abort', onLost)
    }
  }

  #over({ signal }: OwnedPart): Promise<void> {
    const { closing } = this.#context
    return new Promise((resolve) => {
      const end = (): void => {
        signal.removeEventListener('abort', end)
        closing.removeEventListener('abort', end)
        resolve()
      }
      if (signal.aborted || closing.aborted) resolve()
      signal.addEventListener('abort', end)
      closing.addEventListener('abort', end)
    })
  }
}
