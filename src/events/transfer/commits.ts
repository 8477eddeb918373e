import { BanyanError } from '../../core/errors.js'
import { fromCloudEvent, type ReceivedEvent } from '../cloudevents/index.js'
import { parseJson } from '../cloudevents/text.js'
import { eventError } from '../errors.js'
import type { Commit, Expected, StreamAppend } from '../log.js'
import { isStateStream } from '../transform.js'

/** An event and the line that it stands in, from 1. */
export interface LineEvent {
  readonly line: number
  readonly event: ReceivedEvent
  /** Characters of the line. */
  readonly length: number
}

/** A commit as it stands in a file. */
export interface FileCommit {
  readonly commit: FileAppend
  /** Line of its first event. */
  readonly line: number
  readonly events: number
  /** Events of it that are of the state of patterns, and are left out. */
  readonly skipped: number
  readonly length: number
}

/** What is appended of it. */
export interface FileAppend extends Commit {
  readonly id: string
  readonly streams: readonly FileStream[]
}

/** What a commit appends to a stream. */
export interface FileStream extends StreamAppend {
  expected: Expected
  events: ReceivedEvent[]
  /** Of its first event; undefined if revisions are not kept. */
  readonly firstRevision: number | undefined
}

/** A commit of more text than this is taken for a mistake: no log takes half of it. */
const MAX_COMMIT_LENGTH = 256 * 1024 * 1024

/** Lines, from a file or made by {@link exportEvents}. */
export type Lines = Iterable<string> | AsyncIterable<string>

/**
 * The events of lines of CloudEvents. Empty lines are passed over.
 *
 * @throws `BANYAN_INVALID_EVENT` with the line and, if it is not JSON, the column
 */
export async function* readEvents(lines: Lines): AsyncGenerator<ReceivedEvent, void, undefined> {
  for await (const { event } of lineEvents(lines)) yield event
}

export async function* lineEvents(lines: Lines): AsyncGenerator<LineEvent, void, undefined> {
  let line = 0
  for await (const text of lines) {
    line++
    // Editors of some systems put a mark before the first character of a file.
    const json = line === 1 && text.startsWith('\ufeff') ? text.slice(1) : text
    if (json.trim() === '') continue
    let event
    try {
      event = fromCloudEvent(parseJson(json))
    } catch (error) {
      throw atLine(line, error)
    }
    yield { line, event, length: json.length }
  }
}

/** An error with the line that it is about. */
export function atLine(line: number, error: unknown): Error {
  if (!(error instanceof BanyanError)) throw error
  return new BanyanError(error.code as `BANYAN_${string}`, `line ${line}: ${error.message}`, { cause: error })
}

/**
 * Puts the events of each commit together.
 *
 * @param streamOf - the stream of an event
 * @param keepRevisions - whether a commit expects the revisions that its events had
 * @throws `BANYAN_INVALID_EVENT` if a commit is torn or mixed with others
 */
export async function* readCommits(
  lines: Lines,
  streamOf: (event: ReceivedEvent) => string,
  keepRevisions: boolean,
): AsyncGenerator<FileCommit, void, undefined> {
  let open: LineEvent[] = []
  let length = 0
  const close = (): FileCommit => {
    const closed = open
    open = []
    length = 0
    return fileCommit(closed, streamOf, keepRevisions)
  }
  for await (const next of lineEvents(lines)) {
    const { event } = next
    const previous = open.at(-1)
    if (previous && previous.event.commit !== event.commit) {
      if (previous.event.commitSize !== undefined)
        throw torn(previous, `line ${next.line} is of another commit`)
      yield close()
    }
    checkOrdinal(next, open.length)
    open.push(next)
    length += next.length
    if (length > MAX_COMMIT_LENGTH)
      throw atLine(
        next.line,
        eventError('BANYAN_EVENT_TOO_LARGE', `commit ${event.commit} is too large for any log`),
      )
    // Without a commit each event is one of its own; with its size it is known to be complete.
    if (event.commit === undefined || event.commitSize === open.length) yield close()
  }
  const last = open.at(-1)
  if (last?.event.commitSize !== undefined) throw torn(last, 'the file ends')
  if (last) yield close()
}

function checkOrdinal({ line, event: { ordinal, commitSize, commit } }: LineEvent, count: number): void {
  if (commitSize === undefined || ordinal === undefined) return
  if (ordinal === count && ordinal < commitSize) return
  throw atLine(
    line,
    eventError(
      'BANYAN_INVALID_EVENT',
      `it is event ${ordinal} (banyanordinal) of commit ${commit}, whose event ${count} would be next: lines are missing or mixed up`,
    ),
  )
}

function torn({ line, event: { commit, ordinal, commitSize } }: LineEvent, why: string): Error {
  return atLine(
    line,
    eventError(
      'BANYAN_INVALID_EVENT',
      `commit ${commit} ends after event ${ordinal} of ${commitSize}, counted from 0: ${why}. Nothing of this commit is imported`,
    ),
  )
}

function fileCommit(
  events: readonly LineEvent[],
  streamOf: (event: ReceivedEvent) => string,
  keepRevisions: boolean,
): FileCommit {
  const streams = new Map<string, FileStream>()
  let length = 0
  let skipped = 0
  for (const { line, event, length: more } of events) {
    length += more
    const stream = streamOf(event)
    if (isStateStream(stream)) {
      skipped++
      continue
    }
    const found = streams.get(stream)
    if (found) {
      checkRevision(line, found, event)
      found.events.push(event)
      continue
    }
    const firstRevision = keepRevisions ? event.revision : undefined
    const expected = firstRevision === undefined ? 'any' : firstRevision === 0 ? 'none' : firstRevision - 1
    streams.set(stream, { stream, expected, events: [event], firstRevision })
  }
  const first = events[0]!
  const id = first.event.commit ?? first.event.id
  const commit = { id, streams: [...streams.values()] }
  return { commit, line: first.line, events: events.length - skipped, skipped, length }
}

function checkRevision(
  line: number,
  { stream, events, firstRevision }: FileStream,
  event: ReceivedEvent,
): void {
  if (firstRevision === undefined || event.revision === firstRevision + events.length) return
  throw atLine(
    line,
    eventError(
      'BANYAN_INVALID_EVENT',
      `${stream}@${event.revision} stands where ${stream}@${firstRevision + events.length} would be next; ` +
        "to append a part of a stream, import with revisions: 'renumber'",
    ),
  )
}
