import { sleep } from '../../core/clock.js'
import type { Coordinator, Lease } from '../../coordination/coordinator.js'
import { eventError } from '../errors.js'
import type { Epoch } from '../replica.js'

/** Between looks at a key that somebody else has, in ms. */
const LOOK_MS = 100
const TTL = '10s'

/** How the key of a leader is asked for. */
export interface TakeOptions {
  readonly epoch: number
  /** Who asks, for people. */
  readonly name: string
  /** ms to wait for whoever has it. */
  readonly within: number
  readonly ttl?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** An epoch as a coordinator knows it. */
export interface KnownEpoch {
  readonly key: string
  readonly epoch: number
  readonly id?: string
  readonly revision: number
}

/** What a coordinator has of the leaders of a log: who leads, for as long as a lease; and the highest epoch, for ever. */
export class LeaderKeys {
  readonly #coordinator: Coordinator
  readonly #leader: string
  readonly #epoch: string

  /** @param log - id of the log */
  constructor(coordinator: Coordinator, log: string) {
    this.#coordinator = coordinator
    this.#leader = `banyan/logs/${log}/leader`
    this.#epoch = `banyan/logs/${log}/epoch`
  }

  /** The highest epoch; its id is known only if it was told without a lease. */
  async epoch(): Promise<KnownEpoch | undefined> {
    const key = this.#epoch
    const entry = await this.#coordinator.get(key)
    if (!entry) return undefined
    const [epoch, id] = entry.value.split(' ')
    return { key, epoch: Number(epoch), ...(id !== undefined && { id }), revision: entry.revision }
  }

  /**
   * Tells of an epoch that has begun.
   *
   * @returns false if somebody has told of another since that revision
   */
  async tell({ epoch, id }: Epoch, revision: number | undefined): Promise<boolean> {
    const expected = revision ?? 'absent'
    return (await this.#coordinator.put(this.#epoch, `${epoch} ${id}`, { expected })).ok
  }

  /**
   * Takes the place of the leader, when nobody has it; from then on no lower epoch gets it.
   *
   * @throws `BANYAN_LOG_FENCED` if there is a higher epoch; `BANYAN_PROMOTION_REFUSED` if somebody had the place all the time
   */
  async take({ epoch, name, within, ttl, signal }: TakeOptions): Promise<Lease> {
    const { clock } = this.#coordinator.runtime
    const until = clock.now() + within
    const lease = await this.#coordinator.lease(ttl ?? TTL)
    try {
      for (;;) {
        const put = await this.#coordinator.put(this.#leader, JSON.stringify({ epoch, name }), {
          expected: 'absent',
          lease,
        })
        if (put.ok) break
        if (clock.now() >= until) throw taken(put.actual?.value)
        await sleep(clock, LOOK_MS, signal)
      }
      await this.#raise(epoch)
      lease.check()
      return lease
    } catch (error) {
      await lease.release()
      throw error
    }
  }

  async #raise(epoch: number): Promise<void> {
    const now = await this.epoch()
    if (now?.epoch === epoch) return
    if (now && now.epoch > epoch)
      throw eventError(
        'BANYAN_LOG_FENCED',
        `epoch ${now.epoch} of this log has begun, and this is epoch ${epoch}; append to the new leader`,
      )
    await this.#coordinator.put(this.#epoch, String(epoch), { expected: now?.revision ?? 'absent' })
    // Whoever has the place is the only one to raise it; but the lease may be over.
    if ((await this.epoch())?.epoch !== epoch) await this.#raise(epoch)
  }
}

function taken(value: string | undefined): Error {
  return eventError(
    'BANYAN_PROMOTION_REFUSED',
    `somebody else leads this log (${value ?? 'for a moment'}), and has a lease for it; wait until that is over`,
  )
}
