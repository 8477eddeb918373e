import type { Timer } from '../../../core/clock.js'
import type { EventLog } from '../../log.js'
import { START } from '../../position.js'
import { partitionOf, routeOf } from '../engine/route.js'
import { readLedger } from '../ledger/ledger.js'
import type { Settings } from '../options.js'
import { ledgerStream } from './names.js'
import type { GroupState } from './state.js'

/** Messages that are looked at, to see whether one waits. */
const LOOK = 64
/** Whoever was asked and is there is left alone for so many turns. */
const TRUST = 6

/** What was seen of a partition of somebody else's the last time. */
interface Sighting {
  readonly revision: number | 'none'
  readonly waits: boolean
}

/**
 * Looks whether others do their work: a partition in which something waits, and whose ledger has not moved since the last
 * time, gives reason to ask its owner whether it is still there.
 */
export class Suspicion {
  readonly #log: EventLog
  readonly #settings: Settings
  readonly #ask: (members: readonly string[]) => Promise<void>
  readonly #seen = new Map<number, Sighting>()
  readonly #trusted = new Map<string, number>()
  #group: Pick<GroupState, 'from' | 'partitions'> = { from: START, partitions: [] }
  #others: (readonly [partition: number, member: string])[] = []
  #timer: Timer | undefined
  #isClosed = false

  constructor(log: EventLog, settings: Settings, ask: (members: readonly string[]) => Promise<void>) {
    this.#log = log
    this.#settings = settings
    this.#ask = ask
  }

  /** Watches the partitions that are given to others. */
  watch(group: Pick<GroupState, 'from' | 'partitions'>, self: string): void {
    this.#group = group
    this.#others = [...group.partitions.entries()].flatMap(([partition, member]) =>
      member === undefined || member === self ? [] : [[partition, member] as const],
    )
    if (this.#others.length > 0) this.#later()
  }

  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
  }

  #later(): void {
    if (this.#timer || this.#isClosed) return
    const { clock } = this.#settings.runtime
    this.#timer = clock.schedule(clock.now() + this.#settings.takeover, () => {
      this.#look()
        // Who cannot reach the log has no reason to suspect others.
        .catch(() => undefined)
        .finally(() => {
          this.#timer = undefined
          if (this.#others.length > 0) this.#later()
        })
        .catch(() => undefined)
    })
  }

  async #look(): Promise<void> {
    const silent = new Set<string>()
    for (const [member, turns] of this.#trusted)
      if (turns > 1) this.#trusted.set(member, turns - 1)
      else this.#trusted.delete(member)
    for (const [partition, member] of this.#others) {
      const before = this.#seen.get(partition)
      const revision = await this.#log.revision(ledgerStream(this.#settings.name, partition))
      const waits = before?.revision === revision && (await this.#waits(partition))
      this.#seen.set(partition, { revision, waits })
      if (waits && before.waits && !this.#trusted.has(member)) silent.add(member)
    }
    for (const member of silent) this.#trusted.set(member, TRUST)
    if (silent.size > 0 && !this.#isClosed) await this.#ask([...silent])
  }

  /** Whether something in a partition waits that could be handled. */
  async #waits(partition: number): Promise<boolean> {
    const { name, selector, runtime } = this.#settings
    const state = await readLedger(this.#log, ledgerStream(name, partition), this.#group.from)
    const now = runtime.clock.wall()
    for (const { state: is, due = 0 } of state.lanes.values())
      if (is === 'behind' || (is === 'retrying' && due < now)) return true
    const options = { from: state.cursor, limit: LOOK, faults: 'give' as const }
    for await (const event of this.#log.read(selector, options)) {
      const route = routeOf(event, this.#settings)
      if (!route) continue
      const index = partitionOf(route.key ?? event.id, this.#group.partitions.length, this.#settings)
      if (index !== partition) continue
      if (!state.settled.has(event.position)) return true
    }
    return false
  }
}
