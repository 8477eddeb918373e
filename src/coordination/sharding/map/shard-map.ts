import { Observers, type Unsubscribe } from '../../../core/observers.js'
import type { Coordinator } from '../../coordinator.js'
import { coordinationError } from '../../errors.js'
import { onAbort } from '../../on-abort.js'
import type { Outage } from '../../view/pulse.js'
import { Board, type Facts } from './board.js'

/** Who has a bucket, as a reader knows it. */
export interface BucketOwner {
  readonly bucket: string
  /** Who has it; undefined while nobody does. */
  readonly worker: string | undefined
  /** The fencing token of the owner. */
  readonly epoch: number | undefined
  /** What the worker tells others, such as its address. */
  readonly metadata: Readonly<Record<string, unknown>>
  /** `moving`: its owner shall give it to another worker. */
  readonly state: 'owned' | 'moving' | 'unowned'
}

/** Which worker has which key, for those who send them something. Asking it costs nothing, and cannot fail. */
export interface ShardMap extends AsyncDisposable {
  readonly name: string
  /** Resolves when it has been read once; rejects with `BANYAN_COORDINATOR_CLOSED` if that will never be. */
  readonly ready: Promise<void>
  /** How many buckets the map was made with; undefined until it is ready, and if nobody has made it yet. */
  readonly buckets: number | undefined
  /** Why it may be behind, and since when; undefined if it is not known to be. */
  readonly stale: Outage | undefined
  /**
   * Who has a key, as far as is known here: it may have moved a moment ago. Whoever is asked has to say no then, see
   * {@link ShardWorker.holds}. Undefined until the map is ready and made.
   */
  ownerOf(key: string): BucketOwner | undefined
  /**
   * Waits until somebody has a key.
   *
   * @param options.signal - stops the waiting; rejects with its reason
   * @throws `BANYAN_COORDINATOR_CLOSED` if the map or the coordinator is closed
   */
  waitForOwner(key: string, options?: { signal?: AbortSignal }): Promise<BucketOwner & { worker: string }>
  /** - `change`: somebody has got these buckets, or lost them */
  on(event: 'change', listener: (change: ShardMapChange) => void): Unsubscribe
  close(): Promise<void>
}

/** What has become different in a shard map. */
export interface ShardMapChange {
  /** Empty if only workers have changed, such as their metadata, or what is planned. */
  readonly buckets: readonly string[]
}

/**
 * Opens a shard map for reading. Returns at once, also while the engine is away. While it is, the map stays as it was and says that
 * it is stale.
 *
 * @throws `BANYAN_INVALID_KEY`
 */
export function openShardMap(coordinator: Coordinator, name: string): ShardMap {
  return new OpenShardMap(coordinator, name)
}

class OpenShardMap implements ShardMap {
  readonly name: string
  readonly ready: Promise<void>
  readonly #board: Board
  readonly #observers = new Observers<{ change: ShardMapChange }>()
  readonly #closing = new AbortController()
  readonly #forget: () => void
  /** Which worker shall have which bucket. */
  #targets: ReadonlyMap<string, string> = new Map()

  constructor(coordinator: Coordinator, name: string) {
    this.name = name
    this.#board = Board.open(coordinator, name)
    this.ready = this.#board.view.ready
    this.#targets = this.#board.facts.targets()
    this.#forget = this.#board.on((change) => {
      if (change.plan) this.#targets = this.#board.facts.targets()
      if (change.plan || change.workers || change.owned.size > 0)
        this.#observers.emit('change', { buckets: [...change.owned] })
    })
  }

  get buckets(): number | undefined {
    return this.#board.facts.buckets
  }

  get stale(): Outage | undefined {
    return this.#board.view.stale
  }

  ownerOf(key: string): BucketOwner | undefined {
    const { layout, owned, hasParts } = this.#board.facts
    if (!layout) return undefined
    // Until a bucket that is split is given back, it has the keys, and not its halves.
    const bucket = layout.onWay(key, (each) => owned.has(each), hasParts ? undefined : 0)
    return describe(this.#board.facts, this.#targets, bucket ?? layout.leafOf(key))
  }

  waitForOwner(
    key: string,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<BucketOwner & { worker: string }> {
    return new Promise((resolve, reject) => {
      const forget: (() => void)[] = []
      const end = (): void => {
        for (const each of forget) each()
      }
      const refuse = (error: Error): void => {
        end()
        reject(error)
      }
      const look = (): void => {
        const owner = this.ownerOf(key)
        if (owner?.worker === undefined) return
        end()
        resolve({ ...owner, worker: owner.worker })
      }
      const closed = (): void =>
        refuse(coordinationError('BANYAN_COORDINATOR_CLOSED', 'the shard map was closed, or its coordinator'))
      forget.push(this.#observers.on('change', look))
      if (signal) forget.push(onAbort(signal, () => refuse(signal.reason as Error)))
      forget.push(onAbort(this.#closing.signal, closed), onAbort(this.#board.view.ended, closed))
      look()
    })
  }

  on(event: 'change', listener: (change: ShardMapChange) => void): Unsubscribe {
    return this.#observers.on(event, listener)
  }

  close(): Promise<void> {
    if (this.#closing.signal.aborted) return Promise.resolve()
    this.#closing.abort()
    this.#forget()
    this.#board.leave()
    return Promise.resolve()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** Who has a bucket, and whether that is to stay so. */
function describe(
  { owned, workers }: Facts,
  targets: ReadonlyMap<string, string>,
  bucket: string,
): BucketOwner {
  const owner = owned.get(bucket)
  if (!owner) return { bucket, worker: undefined, epoch: undefined, metadata: {}, state: 'unowned' }
  const { worker, epoch } = owner
  const target = targets.get(bucket)
  const state = target !== undefined && target !== worker ? 'moving' : 'owned'
  return { bucket, worker, epoch, metadata: workers.get(worker)?.metadata ?? {}, state }
}
