import { BanyanError } from '../../core/errors.js'
import type { Runtime } from '../../core/runtime.js'
import { eventError, isPassing } from '../errors.js'
import type { EventLog, StreamAppend } from '../log.js'
import { appendsOf, checkTopic, type NewMessage } from '../pubsub/topic.js'
import { KnownMessages, type Placed } from './known.js'
import { messageOf } from './message.js'
import type { Settled, StoredRow } from './store.js'

/** What a log refuses for good, as it is about the message. */
const REFUSALS = new Set([
  'BANYAN_INVALID_COMMIT',
  'BANYAN_INVALID_EVENT',
  'BANYAN_INVALID_OPTIONS',
  'BANYAN_EVENT_TOO_LARGE',
  'BANYAN_UNKNOWN_EVENT_TYPE',
  'BANYAN_COMMIT_OVERLAP',
  'BANYAN_SUBJECT_FORGOTTEN',
])
/** Errors that are about the log: another message would meet them, too. */
const LOG_FAULTS = new Set(['BANYAN_LOG_CLOSED', 'BANYAN_LOG_CORRUPT', 'BANYAN_LOG_FORMAT'])
/** Messages of one commit, at most. */
const COMMIT_ROWS = 500
/** Characters of a reason that are kept. */
const REASON = 1000

/** A message that waits, made ready. */
interface Prepared {
  readonly row: StoredRow
  readonly message: NewMessage
}

/** Appends messages to a log, each once for ever. */
export class Sender {
  readonly #log: EventLog
  readonly #runtime: Runtime
  readonly #attempts: number
  /** How often messages have failed for a reason that may pass, by number. */
  readonly #failures = new Map<number, number>()

  /** @param attempts - how often a message may fail for no reason that is known, until it is parked */
  constructor(log: EventLog, runtime: Runtime, attempts: number) {
    this.#log = log
    this.#runtime = runtime
    this.#attempts = attempts
  }

  /**
   * Appends messages, those of a key in their order, keys side by side.
   *
   * @throws what is about the log and no message; what was appended until then is known to the log
   */
  async send(rows: readonly StoredRow[]): Promise<Settled> {
    const settling = new Settling()
    const lanes = new Map<string, StoredRow[]>()
    for (const row of rows) {
      if (row.isHeld) settling.held.push(row.number)
      else {
        const lane = row.key === null ? row.topic : `${row.topic}\0${row.key}`
        const same = lanes.get(lane)
        if (same) same.push(row)
        else lanes.set(lane, [row])
      }
    }
    const ended = await Promise.allSettled(
      Array.from(lanes.values(), (lane) => this.#sendLane(lane, settling)),
    )
    const failed = ended.find((each) => each.status === 'rejected')
    if (failed) throw failed.reason
    for (const number of settling.numbers()) this.#failures.delete(number)
    return settling
  }

  /** All of them in one commit, if the log takes that: a key with many messages does not wait for the disk with each. */
  async #sendLane(rows: readonly StoredRow[], settling: Settling): Promise<void> {
    const prepared: Prepared[] = []
    for (const row of rows)
      try {
        const message = messageOf(row)
        checkTopic(row.topic)
        appendsOf(row.topic, [message], this.#runtime)
        prepared.push({ row, message })
      } catch (error) {
        settling.park(row, reasonOf(error))
        if (row.key !== null) break
      }
    for (let first = 0; first < prepared.length; first += COMMIT_ROWS) {
      const part = prepared.slice(first, first + COMMIT_ROWS)
      if (!(await this.#sendPart(part, settling))) break
    }
    settling.holdRest(rows)
  }

  /** @returns whether what follows of the key may be sent */
  async #sendPart(part: readonly Prepared[], settling: Settling): Promise<boolean> {
    let isThere = false
    try {
      isThere = (await this.#append(part)).duplicate
      if (!isThere) {
        settling.relayed.push(...part.map(({ row }) => row.number))
        return true
      }
    } catch (error) {
      if (isOfLog(error)) throw error
    }
    // Some are there already, as a relay was killed before it could say so or others have their ids; or one is refused.
    const known = new KnownMessages(
      this.#log,
      part.map((each) => this.#placed(each)),
    )
    for (const each of part) {
      const goesOn = isThere
        ? await this.#settleKnown(each, known, settling)
        : await this.#sendOne(each, known, settling)
      if (!goesOn) return false
    }
    return true
  }

  async #sendOne(each: Prepared, known: KnownMessages, settling: Settling): Promise<boolean> {
    const { row } = each
    try {
      const { duplicate, revision } = await this.#append([each])
      known.locate(this.#placed(each), revision)
      if (duplicate) return await this.#settleKnown(each, known, settling)
      settling.relayed.push(row.number)
      return true
    } catch (error) {
      if (isOfLog(error)) throw error
      const code = error instanceof BanyanError ? error.code : ''
      if (code === 'BANYAN_COMMIT_OVERLAP') return this.#settleKnown(each, known, settling, error)
      const failures = (this.#failures.get(row.number) ?? 0) + 1
      if (REFUSALS.has(code) || failures >= this.#attempts) settling.park(row, reasonOf(error))
      else this.#failures.set(row.number, failures)
      return row.key === null
    }
  }

  /**
   * The log has something under the id of a message.
   *
   * @param refusal - what the log has said; without it, it has the id and type in that stream
   */
  async #settleKnown(
    each: Prepared,
    known: KnownMessages,
    settling: Settling,
    refusal?: unknown,
  ): Promise<boolean> {
    const { row } = each
    const placed = this.#placed(each)
    const found = await known.compare(placed)
    // What is there no more was removed after it had been relayed.
    if (found === 'same' || (found === 'none' && refusal === undefined)) {
      settling.relayed.push(row.number)
      return true
    }
    const other = eventError(
      'BANYAN_COMMIT_OVERLAP',
      `stream ${placed.stream} has another event with the id ${placed.event.id}: its type, data or tags differ; an id belongs to one message for ever`,
    )
    settling.park(row, reasonOf(found === 'other' ? other : refusal))
    return row.key === null
  }

  async #append(part: readonly Prepared[]): Promise<{ duplicate: boolean; revision: number }> {
    const messages = part.map(({ message }) => message)
    // The id of the commit is that of its first message, so one that is alone has the id that publishing it would have.
    const result = await this.#log.append({
      streams: appendsOf(part[0]!.row.topic, messages, this.#runtime),
    })
    if (!result.ok)
      throw eventError('BANYAN_CONFLICT', 'a message expects nothing of its stream, and was refused')
    return { duplicate: result.duplicate, revision: result.streams[0]!.revision }
  }

  #placed({ row, message }: Prepared): Placed {
    const [{ stream, events }] = appendsOf(row.topic, [message], this.#runtime) as [StreamAppend]
    return { stream, event: events[0] as Placed['event'] }
  }
}

/** What becomes of the messages of one batch. */
class Settling implements Settled {
  readonly relayed: number[] = []
  readonly parked: { number: number; reason: string }[] = []
  readonly held: number[] = []

  readonly #parked = new Set<number>()

  park({ number }: StoredRow, reason: string): void {
    this.#parked.add(number)
    this.parked.push({ number, reason: reason.slice(0, REASON) })
  }

  /** Of one lane, what comes behind one that was parked. */
  holdRest(rows: readonly StoredRow[]): void {
    if (this.#parked.size === 0 || rows[0]!.key === null) return
    const head = rows.findIndex(({ number }) => this.#parked.has(number))
    if (head === -1) return
    for (const { number } of rows.slice(head + 1)) if (!this.#parked.has(number)) this.held.push(number)
  }

  *numbers(): Iterable<number> {
    yield* this.relayed
    for (const { number } of this.parked) yield number
    yield* this.held
  }
}

/** Whether any message would have met it. */
function isOfLog(error: unknown): boolean {
  return isPassing(error) || (error instanceof BanyanError && LOG_FAULTS.has(error.code))
}

function reasonOf(error: unknown): string {
  const said = error instanceof Error ? error.message : String(error)
  return error instanceof BanyanError ? `${said} (${error.code})` : said
}
