import { isDeepStrictEqual } from 'node:util'
import { BanyanError } from '../../../src/core/errors.js'
import type {
  AppendResult,
  Commit,
  EventLog,
  ReadOptions,
  RecordedEvent,
  Selector,
} from '../../../src/events/index.js'
import { Choices } from './choices.js'

/** A log whose every event is known, and all ways to read it. */
export interface Truth {
  readonly commits: readonly (Commit & { id: string })[]
  readonly results: ReadonlyMap<string, AppendResult>
  readonly reads: readonly Read[]
  readonly events: ReadonlyMap<string, RecordedEvent>
  /** Last revision of each stream. */
  readonly revisions: ReadonlyMap<string, number>
}

interface Read {
  readonly selector: Selector
  readonly options: ReadOptions
  readonly events: readonly RecordedEvent[]
}

/** What a damaged log shows. */
export interface Inspection {
  /** What was wrong without a word: `read {...}: 3 events are missing`. */
  readonly silent: readonly string[]
  /** Events that are not what was appended. A part of `silent`. */
  readonly changed: readonly string[]
  /** Codes and messages of the errors that said so. */
  readonly told: readonly BanyanError[]
  /** Other errors of the log. */
  readonly other: readonly string[]
  /** Errors that are not of the log: a caller would not know what they mean. */
  readonly strange: readonly string[]
}

/**
 * Fills a log.
 *
 * @param ways - whether it is to be read in all ways, or in a third of them
 */
export async function fill(
  log: EventLog,
  count: number,
  seed: number,
  ways: 'all' | 'few' = 'all',
): Promise<Truth> {
  const choices = new Choices(seed)
  const commits = Array.from({ length: count }, (_, number) => commitOf(number, choices))
  const results = new Map<string, AppendResult>()
  for (const commit of commits) results.set(commit.id, await log.append(commit))
  const all: RecordedEvent[] = []
  for await (const event of log.read()) all.push(event)
  const revisions = new Map<string, number>()
  for (const { stream, revision } of all) revisions.set(stream, revision)
  const reads: Read[] = []
  for (const [index, [selector, options]] of waysToRead(all).entries()) {
    if (ways === 'few' && index % 3 > 0) continue
    const events: RecordedEvent[] = []
    for await (const event of log.read(selector, options)) events.push(event)
    reads.push({ selector, options, events })
  }
  return { commits, results, reads, revisions, events: new Map(all.map((event) => [event.id, event])) }
}

function commitOf(number: number, choices: Choices): Commit & { id: string } {
  const kinds = choices.below(2) === 0 ? ['order'] : ['order', 'stock']
  return {
    id: `commit-${number}`,
    streams: kinds.map((category, place) => ({
      stream: `${category}-${choices.below(6)}`,
      events: Array.from({ length: 1 + choices.below(2) }, (_, index) => {
        const size = choices.chance(0.03) ? 12_000 : choices.below(150)
        return {
          ...(choices.chance(0.2) && { id: `event-${number}-${place}-${index}` }),
          type: choices.pick(['Placed', 'Paid', 'Shipped']),
          data: choices.chance(0.1) ? Buffer.alloc(size, number) : { number, filling: 'x'.repeat(size) },
          tags: choices.chance(0.4) ? [`customer:${choices.below(4)}`] : [],
          ...(choices.chance(0.3) && { metadata: { actor: 'someone' } }),
        }
      }),
    })),
  }
}

function waysToRead(all: readonly RecordedEvent[]): [Selector, ReadOptions][] {
  const streams = [...new Set(all.map(({ stream }) => stream))]
  const tags = [...new Set(all.flatMap((event) => event.tags))]
  const middle = all[all.length >> 1]!.position
  const selectors: Selector[] = [
    {},
    ...streams.map((stream) => ({ stream })),
    { category: 'order' },
    { category: 'stock' },
    ...tags.map((tag) => ({ tags: [tag] })),
    { types: ['Paid'] },
    { category: 'stock', types: ['Paid', 'Shipped'] },
    { category: 'order', tags: ['customer:1'] },
  ]
  return [
    ...selectors.map((selector): [Selector, ReadOptions] => [selector, {}]),
    ...selectors.map((selector): [Selector, ReadOptions] => [selector, { backwards: true }]),
    ...selectors.map((selector): [Selector, ReadOptions] => [selector, { from: middle }]),
    ...selectors.map((selector): [Selector, ReadOptions] => [selector, { to: middle, limit: 20 }]),
    ...streams.map((stream): [Selector, ReadOptions] => [{ stream }, { fromRevision: 3, toRevision: 9 }]),
  ]
}

/** Reads a log in every way and compares it with what it should be. */
export async function inspect(log: EventLog, truth: Truth): Promise<Inspection> {
  const inspection = new Inspector()
  for (const { selector, options, events } of truth.reads) {
    const about = `read ${JSON.stringify({ ...selector, ...options })}`
    await inspection.see(about, async (say) => {
      let index = 0
      for await (const event of log.read(selector, options)) {
        const wanted = events[index++]
        if (isDeepStrictEqual(event, wanted)) continue
        if (!isDeepStrictEqual(event, truth.events.get(event.id)))
          inspection.changed.push(`${about} gave ${describe(event)}, which is not what was appended`)
        say(`gave ${describe(event)} in place of ${wanted ? describe(wanted) : 'nothing'}`)
        return
      }
      if (index < events.length)
        say(`ended before ${describe(events[index]!)}, and ${events.length - index} in all`)
    })
  }
  return inspection
}

/** What is told without reading events: it is as right as the indexes are. */
export async function inspectStreams(log: EventLog, truth: Truth): Promise<Inspection> {
  const inspection = new Inspector()
  for (const [stream, revision] of truth.revisions)
    await inspection.see(`revision of ${stream}`, async (say) => {
      const told = await log.revision(stream)
      if (told !== revision) say(`was ${told}, not ${revision}`)
    })
  await inspection.see('streams', async (say) => {
    const listed = new Map<string, number>()
    for await (const { stream, revision } of log.streams()) listed.set(stream, revision)
    for (const [stream, revision] of truth.revisions)
      if (listed.get(stream) !== revision)
        say(`had ${stream} at ${listed.get(stream) ?? 'none'}, not ${revision}`)
    if (listed.size > truth.revisions.size) say(`had ${listed.size} of ${truth.revisions.size}`)
  })
  return inspection
}

/** Appends everything once more: each must be known. This may change a log that is damaged. */
export async function repeatAll(log: EventLog, truth: Truth): Promise<Inspection> {
  const inspection = new Inspector()
  for (const commit of truth.commits)
    await inspection.see(`append ${commit.id} again`, async (say) => {
      const result = await log.append(commit)
      const first = truth.results.get(commit.id)!
      if (!isDeepStrictEqual(result, { ...first, duplicate: true }))
        say(`gave ${JSON.stringify(result)}, not ${JSON.stringify(first)}`)
    })
  return inspection
}

class Inspector implements Inspection {
  readonly silent: string[] = []
  readonly changed: string[] = []
  readonly told: BanyanError[] = []
  readonly other: string[] = []
  readonly strange: string[] = []

  async see(about: string, look: (say: (wrong: string) => void) => Promise<void>): Promise<void> {
    try {
      await look((wrong) => this.silent.push(`${about} ${wrong}`))
    } catch (error) {
      if (!(error instanceof BanyanError)) this.strange.push(`${about}: ${messageOf(error)}`)
      else if (error.code === 'BANYAN_LOG_CORRUPT') this.told.push(error)
      // What is damaged is another commit's: it is refused with a word, and nothing comes of it.
      else if (error.code === 'BANYAN_COMMIT_OVERLAP') this.told.push(error)
      else this.other.push(`${about}: ${error.code}: ${error.message}`)
    }
  }
}

function describe({ position, stream, revision, id }: RecordedEvent): string {
  return `${id} (${stream}@${revision} at ${position})`
}

function messageOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
