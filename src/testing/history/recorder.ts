import { randomUUID } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { BanyanError } from '../../core/errors.js'
import { eventId } from '../../events/driver.js'
import type {
  Appender,
  AppendResult,
  Batch,
  Commit,
  EventLog,
  FollowOptions,
  NewEvent,
  RecordedEvent,
  Selector,
} from '../../events/log.js'
import type { AttemptedStream, AttemptOutcome, HistoryEntry, SeenEvent } from './history.js'

/** Options of {@link historyRecorder}. */
export interface RecorderOptions {
  /** Who writes and follows: the name of the process. */
  name: string
  /**
   * Keeps an entry. It must have left the process when `write` returns (`writeSync` of `node:fs`, not a stream), or a kill
   * makes the history wrong.
   */
  write: (entry: HistoryEntry) => void
  /**
   * The time in ms, on a clock that all processes share; default the monotonic clock of the machine, which all of its
   * processes share on Linux, macOS and Windows.
   */
  now?: () => number
  /** Makes unique names for attempts and runs; default random ones. */
  id?: () => string
}

/** Uses a log and writes down what came of it. */
export interface HistoryRecorder {
  /** Appends. The commit needs an id, so that it can be tried again. */
  append(log: Appender, commit: Commit & { id: string }): Promise<AppendResult>
  /** Follows; `follower` names whose checkpoint it is. */
  follow(
    follower: string,
    log: EventLog,
    selector?: Selector,
    options?: FollowOptions,
  ): AsyncGenerator<Batch, void, undefined>
}

/** Records what one process does with a log, for {@link checkHistory}. */
export function historyRecorder(options: RecorderOptions): HistoryRecorder {
  const { name, write, now = monotonic, id = randomUUID } = options
  return {
    async append(log, commit) {
      const attempt = id()
      write({
        is: 'attempt',
        attempt,
        at: now(),
        writer: name,
        commit: commit.id,
        streams: attempted(commit),
      })
      try {
        const result = await log.append(commit)
        const told = result.ok && {
          position: result.position,
          revisions: result.streams.map(({ revision }) => revision),
        }
        write({ is: 'outcome', attempt, at: now(), outcome: result.ok ? 'ok' : 'conflict', ...told })
        return result
      } catch (error) {
        write({ is: 'outcome', attempt, at: now(), outcome: outcomeOf(error), error: String(error) })
        throw error
      }
    },
    async *follow(follower, log, selector = {}, followOptions = {}) {
      const run = id()
      const from = followOptions.from === 'end' ? await log.head() : (followOptions.from ?? '0')
      write({ is: 'follow', run, follower, selector, from })
      for await (const batch of log.follow(selector, { ...followOptions, from })) {
        const { position, caughtUp, truncated } = batch
        write({ is: 'batch', run, position, caughtUp, truncated, events: batch.events.map(seenEvent) })
        yield batch
      }
    },
  }
}

/** Everything that is in a log, as a history keeps it. */
export async function loggedEvents(log: EventLog): Promise<SeenEvent[]> {
  const events: SeenEvent[] = []
  for await (const event of log.read()) events.push(seenEvent(event))
  return events
}

/** An event as a history keeps it. */
export function seenEvent(event: RecordedEvent): SeenEvent {
  const { position, stream, revision, commit, id, type, tags } = event
  return { position, stream, revision, commit, id, type, tags, digest: digestOfEvent(event) }
}

/** A number that is the same for an event that was appended and the same event read. */
export function digestOfEvent({ type, data, metadata, tags }: NewEvent | RecordedEvent): number {
  const head = `${type}\0${tags?.join('\0') ?? ''}\0${JSON.stringify(metadata ?? {})}\0`
  if (data instanceof Uint8Array) return crc32(data, crc32(head))
  return crc32(data === undefined ? '' : JSON.stringify(data), crc32(head))
}

/** Only what the log says it does not know is unknown; its other errors mean that nothing was appended. */
export function outcomeOf(error: unknown): AttemptOutcome {
  return error instanceof BanyanError && error.code !== 'BANYAN_OUTCOME_UNKNOWN' ? 'failed' : 'unknown'
}

function attempted({ id: commit, streams = [] }: Commit & { id: string }): AttemptedStream[] {
  let ordinal = 0
  return streams.map(({ stream, expected = 'any', events }) => ({
    stream,
    expected,
    events: events.map((event) => {
      const id = event.id ?? eventId(commit, ordinal)
      ordinal++
      return { id, digest: digestOfEvent(event) }
    }),
  }))
}

/** Not the clock of core: that one starts anew in each process. */
function monotonic(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
