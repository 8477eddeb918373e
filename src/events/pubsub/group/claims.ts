import type { EventLog } from '../../log.js'
import type { Engine } from '../engine/engine.js'
import { heldFrom, readLedger } from '../ledger/ledger.js'
import type { OwnedPart } from '../../owned-part.js'
import type { Settings } from '../options.js'
import { groupStream, holdName, ledgerStream } from './names.js'
import type { GroupState } from './state.js'

/** The member that claims. */
export interface ClaimContext {
  readonly state: () => GroupState
  /** Its name, which changes when it has to join anew. */
  readonly member: () => string
  readonly isClosing: () => boolean
  /** Whether this process is to work on a partition. */
  readonly isMine: (partition: number) => boolean
  /** The bucket of a shard map that a partition is worked on for, if one is. */
  readonly partOf: (partition: number) => OwnedPart | undefined
  /** Whether another member has to be waited for: it says so when it has finished, or is found to be gone. */
  readonly isWaitedFor: (owner: string) => boolean
  /** A partition was taken from another member that has not given it back. */
  readonly tookFrom: (owner: string) => void
  /** Something has to be looked at again, a moment later. */
  readonly again: () => void
  readonly warn: (error: unknown) => void
}

/** Takes partitions that a member is to work on, by their ledgers, and gives back those that it is not to. */
export class Claims {
  readonly #log: EventLog
  readonly #settings: Settings
  readonly #engine: Engine
  readonly #context: ClaimContext
  readonly #claiming = new Set<number>()
  readonly #claims = new Set<Promise<void>>()
  readonly #doubtful = new Set<number>()
  /** Something has changed while a partition was being claimed. */
  #isOutdated = false

  constructor(log: EventLog, settings: Settings, engine: Engine, context: ClaimContext) {
    this.#log = log
    this.#settings = settings
    this.#engine = engine
    this.#context = context
  }

  /** Partitions whose ledger may name this member though it does not work on them. */
  get doubtful(): Iterable<number> {
    return this.#doubtful
  }

  /** The ledger of a partition may name this member though it does not work on it. */
  doubt(partition: number): void {
    this.#doubtful.add(partition)
  }

  /** It is another member now. */
  forget(): void {
    this.#doubtful.clear()
  }

  /** Resolves when nothing is being claimed any more. */
  async ended(): Promise<void> {
    await Promise.all(this.#claims)
  }

  /** Takes what this member is to work on, or gives back what it is not. */
  claim(partition: number): Promise<void> {
    const claim = this.#tryToClaim(partition).finally(() => this.#claims.delete(claim))
    this.#claims.add(claim)
    return claim
  }

  async #tryToClaim(partition: number): Promise<void> {
    if (this.#engine.partitions.includes(partition)) return
    if (this.#claiming.has(partition)) {
      this.#isOutdated = true
      return
    }
    this.#claiming.add(partition)
    try {
      const isMine = this.#context.isMine(partition)
      if (!(await (isMine ? this.#take(partition) : this.#giveBack(partition)))) this.#context.again()
    } catch (error) {
      this.#context.warn(error)
      this.#context.again()
    } finally {
      this.#claiming.delete(partition)
      if (this.#isOutdated) this.#context.again()
      this.#isOutdated = false
    }
  }

  /** @returns false if it has to be looked at again */
  async #take(partition: number): Promise<boolean> {
    const { name, hold } = this.#settings
    const stream = ledgerStream(name, partition)
    const state = await readLedger(this.#log, stream, this.#context.state().from)
    const { owner, revision } = state
    const other = owner === this.#context.member() ? undefined : owner
    if (other !== undefined && this.#context.isWaitedFor(other)) return true
    if (hold) {
      const position = heldFrom({ cursor: state.cursor, lanes: state.lanes.values() })
      await this.#log.hold(holdName(name, partition), position)
    }
    // Whoever owns it by now has read the ledger later, and this claim comes too late then.
    if (!this.#context.isMine(partition)) return false
    this.#doubtful.add(partition)
    const result = await this.#log.append({
      streams: [
        {
          stream,
          expected: revision,
          events: [{ type: 'Claimed', data: { owner: this.#context.member() } }],
        },
      ],
    })
    if (!result.ok || this.#context.isClosing()) return false
    state.revision = result.streams[0]!.revision
    if (!this.#context.isMine(partition)) return false
    this.#doubtful.delete(partition)
    this.#engine.own(partition, state, owner === undefined, this.#context.partOf(partition))
    if (other !== undefined) this.#context.tookFrom(other)
    return true
  }

  /** @returns false if it has to be looked at again */
  async #giveBack(partition: number): Promise<boolean> {
    const { name } = this.#settings
    const stream = ledgerStream(name, partition)
    const { owner, revision } = await readLedger(this.#log, stream, this.#context.state().from)
    if (owner === this.#context.member()) {
      const { ok } = await this.#log.append({
        streams: [
          { stream, expected: revision, events: [{ type: 'Released', data: { owner } }] },
          { stream: groupStream(name), events: [{ type: 'Freed', data: { partition } }] },
        ],
      })
      if (!ok) return false
    }
    this.#doubtful.delete(partition)
    return true
  }
}
