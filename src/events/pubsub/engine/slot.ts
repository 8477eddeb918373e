import type { Clock } from '../../../core/clock.js'
import type { Runtime } from '../../../core/runtime.js'
import type { EventLog } from '../../log.js'
import { Partition } from '../lanes/partition.js'
import type { Lane } from '../lanes/lane.js'
import { Ledger, type LedgerOwner } from '../ledger/ledger.js'
import type { Kept, LedgerEvent, LedgerState, Progress } from '../ledger/state.js'
import type { Delivery, DeliveryOwner, Verdict } from './delivery.js'
import type { Fencing } from '../message.js'
import { Isolation } from './isolation.js'
import type { Tenure } from './tenure.js'

/** What a slot tells the engine. */
export interface SlotOwner {
  /** A lane of a partition, which may not be the slot's any more when its turn comes. */
  ready(slot: Slot, partition: Partition, lane: Lane): void
  hungry(slot: Slot, partition: Partition, lane: Lane): void
  /** There is room again. */
  written(): void
  sought(slot: Slot): void
  lost(slot: Slot, why: unknown): void
  /**
   * @returns resolves when it is durable
   * @throws `BANYAN_DELIVERY_ENDED` if it never will be
   */
  ended(slot: Slot, delivery: Delivery, verdict: Verdict): Promise<void>
}

/** Something that a partition is not given up without. */
export interface InFlight {
  /** Nobody wants to know what becomes of it any more. */
  drop(how: string): unknown
}

/** A partition that this process owns: its lanes, its ledger, and what is in flight of it. */
export class Slot implements LedgerOwner, DeliveryOwner {
  readonly index: number
  readonly subscription: string
  readonly deadline: number
  readonly clock: Clock
  readonly isolation: Isolation
  readonly ledger: Ledger
  /** What is in flight. */
  readonly deliveries = new Set<InFlight>()
  partition: Partition
  /** So many deliveries are written down before they begin: the owner before did not end well. */
  wary: number
  /** How often an operator has moved it. */
  seeks = 0
  /** It is being given up. */
  releasing: Promise<void> | undefined
  readonly #owner: SlotOwner
  readonly #tenure: Tenure | undefined
  #isOpen = false
  #isSeeking = false
  #emptied: (() => void) | undefined

  /** @param wary - how many messages may have been in flight when the owner before ended */
  constructor(
    index: number,
    log: EventLog,
    stream: string,
    state: LedgerState,
    owner: SlotOwner,
    options: {
      id: string
      hold: string | undefined
      wary: number
      runtime: Runtime
      subscription: string
      deadline: number
      tenure: Tenure | undefined
    },
  ) {
    this.index = index
    this.subscription = options.subscription
    this.deadline = options.deadline
    this.clock = options.runtime.clock
    this.isolation = Isolation.of(this.clock)
    this.#owner = owner
    this.#tenure = options.tenure
    this.wary = options.wary
    this.partition = this.#partitionOf(state)
    this.ledger = new Ledger(log, stream, state, {
      ...options,
      owner: this,
      lost: (why) => owner.lost(this, why),
    })
  }

  /** Deliveries are begun. */
  get isOpen(): boolean {
    return this.#isOpen && (this.#tenure === undefined || this.#tenure.isHeld)
  }

  get fencing(): Fencing | undefined {
    return this.#tenure
  }

  begin(): void {
    this.#isOpen = true
    this.partition.begin()
  }

  /** Nothing more is delivered. Resolves when nothing is in flight any more. */
  async drained(): Promise<void> {
    this.#isOpen = false
    if (this.deliveries.size > 0) await new Promise<void>((resolve) => (this.#emptied = resolve))
  }

  left(delivery: InFlight): void {
    this.deliveries.delete(delivery)
    if (this.deliveries.size === 0) this.#emptied?.()
  }

  /** What is in flight counts no more. */
  drop(how: string): void {
    for (const delivery of this.deliveries) delivery.drop(how)
    this.deliveries.clear()
    this.#emptied?.()
  }

  /** Begins again as the ledger says. */
  restart(state: LedgerState): void {
    this.partition.end()
    this.partition = this.#partitionOf(state)
    this.begin()
  }

  /** Ends without a word. */
  end(): void {
    this.#isOpen = false
    this.ledger.stop()
    this.partition.end()
  }

  change(): Progress | undefined {
    return this.#isSeeking ? undefined : this.partition.change()
  }

  everything(): Kept {
    return this.partition.everything()
  }

  written(): void {
    this.#owner.written()
  }

  ended(delivery: Delivery, verdict: Verdict): Promise<void> {
    this.left(delivery)
    return this.#owner.ended(this, delivery, verdict)
  }

  told(event: LedgerEvent): void {
    if (event.type === 'Redriven') this.partition.redriven(event.data.lanes)
    else if (event.type === 'Skipped') this.partition.skipped(event.data.lane, event.data.position)
    else if (event.type === 'Sought') {
      this.#isSeeking = true
      this.#owner.sought(this)
    }
  }
  #partitionOf(state: LedgerState): Partition {
    this.#isSeeking = false
    const partition = new Partition(state, this.clock, {
      ready: (lane) => this.#owner.ready(this, partition, lane),
      hungry: (lane) => this.#owner.hungry(this, partition, lane),
    })
    return partition
  }
}
