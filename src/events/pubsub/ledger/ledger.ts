import { sleep } from '../../../core/clock.js'
import type { Runtime } from '../../../core/runtime.js'
import { BanyanError } from '../../../core/errors.js'
import { isPassing } from '../../errors.js'
import type { AppendResult, EventLog, Position, Recorded, StreamAppend } from '../../log.js'
import { uuid7 } from '../../uuid.js'
import { MOST_ITEMS, LEAST_ITEMS, piecesOf } from './pieces.js'
import { LedgerState, type Kept, type LaneRecord, type LedgerEvent, type Progress } from './state.js'

/** What a ledger asks of whoever works on its partition. */
export interface LedgerOwner {
  /** What has changed since it was asked the last time; undefined if nothing has. */
  change(): Progress | undefined
  /** Everything, as it is with that change. */
  everything(): Kept
  /** What had changed is durable. */
  written(): void
  /** Others have written: an operator has sought, redriven, skipped. */
  told(event: LedgerEvent): void
}

/** After so many steps everything is written at once, and the steps are removed. */
const KEEP_EVERY = 512
/** Also after so long, in ms: for what it keeps from being removed from the log. */
const KEEP_MS = 3_600_000
/** What only the owner of a partition writes. */
const OWNERS: ReadonlySet<string> = new Set<LedgerEvent['type']>([
  'Claimed',
  'Progressed',
  'Kept',
  'Released',
])
const RETRY_FIRST_MS = 50
const RETRY_LAST_MS = 2000

/** Why a partition was lost that has another owner now. */
export const TAKEN_OVER = 'another process has taken the partition over'

/** Reads how far a partition is: from the last time that everything was written. */
export async function readLedger(log: EventLog, stream: string, from: Position): Promise<LedgerState> {
  for (;;) {
    const events: Recorded<LedgerEvent>[] = []
    for await (const event of log.read<LedgerEvent>({ stream }, { backwards: true })) {
      events.push(event)
      if (event.type === 'Kept') break
    }
    const state = new LedgerState(from)
    for (const event of events.reverse()) state.apply(event)
    const [first] = events
    // Its owner may have removed, while it was read, what a later event repeats.
    const isWhole = !first || first.type === 'Kept' || first.revision === 0
    if (isWhole || (await log.revision(stream)) === state.revision) return state
  }
}

/**
 * Writes how far a partition is, as its owner. Steps are gathered while one is written. Every step expects the revision of
 * the one before: whoever lost the partition to another owner finds out with the next step, and has changed nothing.
 */
export class Ledger {
  readonly stream: string
  readonly #log: EventLog
  readonly #runtime: Runtime
  readonly #id: string
  readonly #owner: LedgerOwner
  readonly #hold: string | undefined
  readonly #lost: (why: unknown) => void
  readonly #stopping = new AbortController()
  #revision: number
  #steps = 0
  #keptAt: number
  #isLost = false
  /** How often somebody has sought. */
  #seeks = 0
  /** How much goes into one event. */
  #items = MOST_ITEMS
  /** The step that is being written, or was. */
  #last: Promise<unknown> = Promise.resolve()
  /** The one behind it, if one is wanted. */
  #next: Promise<boolean> | undefined
  /** Why it writes nothing more. */
  fault: unknown

  /**
   * @param state - as it was when it was claimed
   * @param hold - the name under which the log keeps what is not settled yet
   * @param lost - told once when this is not the owner any more
   */
  constructor(
    log: EventLog,
    stream: string,
    state: LedgerState,
    options: {
      id: string
      owner: LedgerOwner
      runtime: Runtime
      hold: string | undefined
      lost: (why: unknown) => void
    },
  ) {
    this.#log = log
    this.stream = stream
    this.#revision = state.revision as number
    this.#id = options.id
    this.#owner = options.owner
    this.#runtime = options.runtime
    this.#hold = options.hold
    this.#keptAt = options.runtime.clock.now()
    this.#lost = options.lost
  }

  /**
   * Writes what has changed.
   *
   * @returns whether everything that had changed before this call is durable; false if it is not, and never will be
   */
  write(): Promise<boolean> {
    return (this.#next ??= this.#queue())
  }

  #queue(): Promise<boolean> {
    const seeks = this.#seeks
    return this.#last.then(() => {
      this.#next = undefined
      const writing = this.#write(seeks)
      this.#last = writing
      return writing
    })
  }

  /**
   * Gives the partition up, with everything written.
   *
   * @param also - what is appended with it
   * @returns whether that was done
   */
  async release(also: StreamAppend): Promise<boolean> {
    await this.write()
    if (!this.#isLost) await this.#append(() => [{ type: 'Released', data: { owner: this.#id } }], [also])
    const isReleased = !this.#isLost
    this.stop()
    return isReleased
  }

  /** Writes nothing more. */
  stop(): void {
    this.#isLost = true
    this.#stopping.abort()
  }

  /** Sees what others have written. */
  look(): Promise<void> {
    const looking = this.#last.then(async () => {
      if (!this.#isLost) await this.#catchUp()
    })
    this.#last = looking
    return looking
  }

  /** @param seeks - how many there had been when this was asked for: what had changed before one does not count */
  async #write(seeks: number): Promise<boolean> {
    const change = this.#isLost ? undefined : this.#owner.change()
    if (!change) return !this.#isLost && seeks === this.#seeks
    const count = await this.#append((isSought, items) =>
      isSought ? [] : piecesOf(change, items).map((data) => ({ type: 'Progressed', data })),
    )
    this.#owner.written()
    const isOld = this.#runtime.clock.now() - this.#keptAt > KEEP_MS
    if ((++this.#steps >= KEEP_EVERY || isOld) && !this.#isLost) await this.#keep()
    return count > 0 && seeks === this.#seeks
  }

  async #keep(): Promise<void> {
    this.#steps = 0
    this.#keptAt = this.#runtime.clock.now()
    let kept: Kept = { cursor: '' }
    const events = (isSought: boolean, items: number): LedgerEvent[] => {
      if (isSought) return []
      kept = this.#owner.everything()
      return piecesOf(kept, items).map((data, index) =>
        index === 0 ? { type: 'Kept', data: { ...data, owner: this.#id } } : { type: 'Progressed', data },
      )
    }
    const count = await this.#append(events)
    if (count === 0 || this.#isLost) return
    const { cursor, lanes = [] } = kept
    const beforeRevision = this.#revision - count + 1
    await this.#patiently(async () => {
      if (this.#hold !== undefined) await this.#log.hold(this.#hold, heldFrom({ cursor, lanes }))
      // Every commit to a ledger expects a revision: its own, or, where operators change it, that of the group.
      await this.#log.truncate({ stream: this.stream, beforeRevision, forget: true })
    })
  }

  /**
   * Appends a step behind all others. Resolves also if the partition is lost meanwhile.
   *
   * @param events - made anew when others have written first; told whether one of them has sought: what was settled before
   *   that is to be done again; and how much may go into one event
   * @returns how many events were appended
   */
  async #append(
    events: (isSought: boolean, items: number) => readonly LedgerEvent[],
    also: readonly StreamAppend[] = [],
  ): Promise<number> {
    let isSought = false
    while (!this.#isLost) {
      const made = events(isSought, this.#items)
      if (made.length === 0) return 0
      const id = uuid7(this.#runtime.clock.wall())
      const streams = [{ stream: this.stream, expected: this.#revision, events: made }, ...also]
      const result = await this.#patiently(() => this.#appendOnce(id, streams))
      if (!result) return 0
      if (result === 'too large') {
        this.#items = Math.floor(this.#items / 4)
        continue
      }
      if (result.ok) {
        this.#revision = result.streams[0]!.revision
        return made.length
      }
      isSought = (await this.#catchUp()) || isSought
    }
    return 0
  }

  async #appendOnce(id: string, streams: readonly StreamAppend[]): Promise<AppendResult | 'too large'> {
    try {
      return await this.#log.append({ id, streams })
    } catch (error) {
      const isTooLarge = error instanceof BanyanError && error.code === 'BANYAN_EVENT_TOO_LARGE'
      if (isTooLarge && this.#items > LEAST_ITEMS) return 'too large'
      throw error
    }
  }

  /** @returns whether somebody has sought */
  async #catchUp(): Promise<boolean> {
    const events = await this.#patiently(async () => {
      const found: Recorded<LedgerEvent>[] = []
      const from = { fromRevision: this.#revision + 1 }
      for await (const event of this.#log.read<LedgerEvent>({ stream: this.stream }, from)) found.push(event)
      return found
    })
    let sought = false
    for (const event of events ?? []) {
      this.#revision = event.revision
      // Only an owner writes these. The first that is left may be what a new one has kept.
      if (OWNERS.has(event.type)) {
        this.#lose(TAKEN_OVER)
        return sought
      }
      this.#owner.told(event)
      if (event.type !== 'Sought') continue
      this.#seeks++
      sought = true
    }
    return sought
  }

  /** Tries until it works. Undefined if the partition is lost or given up first. */
  async #patiently<T>(work: () => Promise<T>): Promise<T | undefined> {
    for (let pause = RETRY_FIRST_MS; !this.#isLost; pause = Math.min(pause * 2, RETRY_LAST_MS)) {
      try {
        return await work()
      } catch (error) {
        if (!isPassing(error)) {
          this.#lose(error)
          return undefined
        }
        this.#runtime.telemetry.log('warn', `${this.stream} cannot be written: ${error.message}`)
        await sleep(this.#runtime.clock, pause, this.#stopping.signal).catch(() => undefined)
      }
    }
    return undefined
  }

  #lose(why: unknown): void {
    if (this.#isLost) return
    this.fault = why
    this.stop()
    this.#lost(why)
  }
}

/** The position behind which nothing may be removed: what is not settled, and what a lane still has to read. */
export function heldFrom({ cursor, lanes }: { cursor: Position; lanes: Iterable<LaneRecord> }): Position {
  let least = cursor
  for (const { after } of lanes) if (after < least) least = after
  return least
}
