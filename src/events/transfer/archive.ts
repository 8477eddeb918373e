import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { BanyanError } from '../../core/errors.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import type { EventLog, Position, RecordedEvent, Selector, Truncation } from '../log.js'
import { checkTruncation } from '../places.js'
import { readEvents } from './commits.js'
import { commitsOf, DEFAULT_SOURCE, linesOf } from './export.js'
import { fileLines, writeLines } from './files.js'

/** Options of {@link archive}. */
export interface ArchiveOptions {
  /**
   * A directory, made if it is not there. The file is named for what it has and for the position of its first event:
   * `category-order-0000000000000001.ndjson.gz`.
   */
  directory: string
  /** The `source` of the CloudEvents; default `/banyan`. */
  source?: string
  /** Ends it early; nothing is truncated then. */
  signal?: AbortSignal
}

const OPTIONS: OptionTable<ArchiveOptions> = {
  directory: { kind: 'string', doc: 'where the files are' },
  source: { kind: 'string', doc: 'the source of the CloudEvents' },
  signal: { kind: 'code', type: 'object', doc: 'ends it early' },
}

/** What {@link archive} did. */
export interface Archived {
  /** How many events are in the file. */
  readonly events: number
  /** How many of them were removed from the log. */
  readonly removed: number
  /** The file; undefined if there was nothing to archive. */
  readonly file?: string
  /** Bytes of the file, and the SHA-256 of its text before compression; undefined if it was complete before. */
  readonly bytes?: number
  readonly sha256?: string
  /** The hold that kept other events in the log. */
  readonly heldBy?: string
}

/** What is read, and how it is truncated up to one of its events. */
interface Plan {
  readonly label: string
  readonly selector: Selector
  readonly range: { to?: Position; toRevision?: number }
  upTo(event: { position?: Position; revision?: number }): Truncation
}

/**
 * Moves events from a log to a file: what `log.truncate` would remove is written as lines of CloudEvents, packed, synced to disk,
 * read again and compared, and only then removed. A crash at any moment loses nothing: the same call again goes on, with the file
 * if that was complete, else anew (what is left of the old one ends in `.part.gz`). Removes exactly what is in the file.
 *
 * @param what - as for `log.truncate`; holds are respected
 * @throws `BANYAN_INVALID_OPTIONS`, `BANYAN_INVALID_SELECTOR`, `BANYAN_INVALID_POSITION`; what `writeLines` and `log.read` throw: nothing was removed then
 */
export async function archive(log: EventLog, what: Truncation, options: ArchiveOptions): Promise<Archived> {
  checkOptions('archive', OPTIONS, options)
  checkTruncation(what)
  const { directory, source = DEFAULT_SOURCE, signal } = options
  const plan = planOf(what)
  const hold = await lowestHold(log)
  const first = await firstOf(log, plan.selector, plan.range)
  if (!first) return { events: 0, removed: 0 }
  if (hold && first.position > hold.position) return { events: 0, removed: 0, heldBy: hold.name }
  const range = { ...plan.range, ...(hold && { to: earlier(plan.range.to, hold.position) }) }

  await mkdir(directory, { recursive: true })
  const file = join(directory, `${plan.label}-${first.position}.ndjson.gz`)
  const read = (): AsyncIterable<RecordedEvent> =>
    log.read(plan.selector, { ...range, ...(signal && { signal }) })
  const copied = existsSync(file) ? await sameEvents(file, read()) : await copy(file, read(), source)
  signal?.throwIfAborted()

  const { removed } = await log.truncate(plan.upTo(copied.last))
  const { events, bytes, sha256 } = copied
  const isHeld = hold && (await firstOf(log, plan.selector, { ...plan.range, from: hold.position }))
  return {
    events,
    removed,
    file,
    ...(bytes !== undefined && { bytes }),
    ...(sha256 !== undefined && { sha256 }),
    ...(isHeld && { heldBy: hold.name }),
  }
}

interface Copied {
  readonly events: number
  readonly last: { position?: Position; revision?: number }
  readonly bytes?: number
  readonly sha256?: string
}

async function copy(file: string, events: AsyncIterable<RecordedEvent>, source: string): Promise<Copied> {
  let last: RecordedEvent | undefined
  const lines = async function* (): AsyncGenerator<string> {
    for await (const commit of commitsOf(events)) {
      last = commit.at(-1)
      yield* linesOf(commit, source)
    }
  }
  const { lines: count, bytes, sha256 } = await writeLines(file, lines())
  return { events: count, last: last!, bytes, sha256 }
}

/**
 * A file of that name was complete, but what is in it was not removed: there was a crash between. Its events must be those that
 * the log begins with.
 */
async function sameEvents(file: string, events: AsyncIterable<RecordedEvent>): Promise<Copied> {
  const inLog = events[Symbol.asyncIterator]()
  let count = 0
  let last: Copied['last'] | undefined
  try {
    for await (const { id, stream, revision, position } of readEvents(fileLines(file))) {
      const next = await inLog.next()
      const same = next.done !== true && next.value.position === position && next.value.id === id
      if (!same || next.value.stream !== stream || next.value.revision !== revision) throw isOther(file)
      last = next.value
      count++
    }
  } finally {
    await inLog.return?.()
  }
  if (!last) throw isOther(file)
  return { events: count, last }
}

function isOther(file: string): Error {
  return new BanyanError(
    'BANYAN_INVALID_OPTIONS',
    `archive: ${file} is there and has other events than this log; nothing was removed. Take another directory, or move the file away`,
  )
}

function planOf(what: Truncation): Plan {
  if ('stream' in what) {
    const { stream, beforeRevision } = what
    return {
      label: `stream-${fileName(stream)}`,
      selector: { stream },
      // There is no revision before the first; then nothing is read.
      range: beforeRevision > 0 ? { toRevision: beforeRevision - 1 } : { toRevision: 0, to: '0' },
      upTo: ({ revision }) => ({ stream, beforeRevision: revision! + 1 }),
    }
  }
  if ('category' in what) {
    const { category, upTo } = what
    return {
      label: `category-${fileName(category)}`,
      selector: { category },
      range: { to: upTo },
      upTo: ({ position }) => ({ category, upTo: position! }),
    }
  }
  return {
    label: 'all',
    selector: {},
    range: { to: what.upTo },
    upTo: ({ position }) => ({ all: true, upTo: position! }),
  }
}

async function lowestHold(log: EventLog): Promise<{ name: string; position: Position } | undefined> {
  const { holds } = await log.stats()
  return holds.reduce<{ name: string; position: Position } | undefined>(
    (lowest, hold) => (lowest && lowest.position <= hold.position ? lowest : hold),
    undefined,
  )
}

async function firstOf(
  log: EventLog,
  selector: Selector,
  range: { from?: Position; to?: Position; toRevision?: number },
): Promise<RecordedEvent | undefined> {
  for await (const event of log.read(selector, { ...range, limit: 1 })) return event
  return undefined
}

function earlier(a: Position | undefined, b: Position): Position {
  return a === undefined || b < a ? b : a
}

/** A name that every file system takes, and that no other stream has. */
function fileName(name: string): string {
  const plain = name.replace(/[^\w.-]/g, '_').slice(0, 80)
  if (plain === name) return plain
  return `${plain}~${createHash('sha256').update(name).digest('hex').slice(0, 12)}`
}
