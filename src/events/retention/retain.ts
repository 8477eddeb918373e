import { systemClock, type Clock } from '../../core/clock.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import type { EventLog, Position, Selector, StreamInfo, Truncation } from '../log.js'
import { START } from '../position.js'
import { archive, type Archived, type ArchiveOptions } from '../transfer/index.js'
import { ageOf, Rules, type RetentionRule } from './rules.js'

/** Options of {@link retain}. */
export interface RetainOptions {
  /** A directory to which events are archived before they are removed; see `archive`. Default: they are only removed. */
  archive?: string
  /** The `source` of archived CloudEvents; default `/banyan`. */
  source?: string
  /** Ends it between two slices; what was removed stays removed. */
  signal?: AbortSignal
  /** What age is measured with; default the system's. */
  clock?: Clock
}

const OPTIONS: OptionTable<RetainOptions> = {
  archive: { kind: 'string', doc: 'a directory to which events are archived before they are removed' },
  source: { kind: 'string', doc: 'the source of archived CloudEvents' },
  signal: { kind: 'code', type: 'object', doc: 'ends it between two slices' },
  clock: { kind: 'code', type: 'object', doc: 'what age is measured with' },
}

/** What {@link retain} did. */
export interface RetentionReport {
  /** How many events were removed, by all rules. */
  readonly removed: number
  /** One for each rule, in their order. */
  readonly rules: readonly RuleReport[]
}

/** What a rule did. */
export interface RuleReport {
  readonly rule: RetentionRule
  readonly removed: number
  /** The hold that kept events which the rule would have removed. */
  readonly heldBy?: string
  /** Files to which the removed events went. */
  readonly archives: readonly string[]
}

/** Events that are removed with one call, between which it can be ended; and events in a file of an archive. */
const SLICE_EVENTS = 50_000

/**
 * Removes from a log what its rules do not keep: for good, or to an archive. Holds are respected. Drivers remove in
 * small transactions, so that appends go on; followers go on too, and are told (`batch.truncated`).
 *
 * @throws `BANYAN_INVALID_OPTIONS` if rules contradict each other; what `log.truncate` and `archive` throw; the reason of the signal
 */
export async function retain(
  log: EventLog,
  rules: readonly RetentionRule[],
  options: RetainOptions = {},
): Promise<RetentionReport> {
  checkOptions('retain', OPTIONS, options)
  const all = new Rules(rules)
  const reports: RuleReport[] = []
  for (const rule of rules) reports.push(await new RuleRun(log, all, rule, options).run())
  return { removed: reports.reduce((sum, { removed }) => sum + removed, 0), rules: reports }
}

/** One rule, once. */
class RuleRun {
  readonly #log: EventLog
  readonly #rules: Rules
  readonly #rule: RetentionRule
  readonly #options: RetainOptions
  readonly #archives: string[] = []
  #removed = 0
  #heldBy: string | undefined

  constructor(log: EventLog, rules: Rules, rule: RetentionRule, options: RetainOptions) {
    this.#log = log
    this.#rules = rules
    this.#rule = rule
    this.#options = options
  }

  async run(): Promise<RuleReport> {
    const { maxEvents, stream, category } = this.#rule
    const age = ageOf(this.#rule)
    const clock = this.#options.clock ?? systemClock
    const upTo = age === undefined ? START : await this.#log.positionAt(clock.wall() - age)
    if (maxEvents !== undefined || upTo !== START) {
      if (stream !== undefined) await this.#inStream(await this.#infoOf(stream), upTo)
      else if (maxEvents !== undefined) await this.#inStreams(upTo, category)
      else if (category !== undefined) await this.#inCategory(category, upTo)
      else if (this.#rules.isAlone) await this.#upTo({}, { all: true, upTo })
      else await this.#inCategories(upTo)
    }
    return {
      rule: this.#rule,
      removed: this.#removed,
      ...(this.#heldBy !== undefined && { heldBy: this.#heldBy }),
      archives: this.#archives,
    }
  }

  /** Every category for which no other rule is there. */
  async #inCategories(upTo: Position): Promise<void> {
    const categories = new Set<string>()
    for await (const { category } of this.#log.streams()) categories.add(category)
    for (const category of categories) if (!this.#rules.has(category)) await this.#inCategory(category, upTo)
  }

  async #inCategory(category: string, upTo: Position): Promise<void> {
    if (this.#rules.isOne(category)) await this.#upTo({ category }, { category, upTo })
    else await this.#inStreams(upTo, category)
  }

  /** Removes up to a position. Positions cannot be counted with: where a slice ends is found by reading it. */
  async #upTo(selector: Selector, what: Exclude<Truncation, { stream: string }>): Promise<void> {
    for (let isMore = true; isMore;) {
      let last: Position | undefined
      for await (const { position } of this.#log.read(selector, { to: what.upTo, limit: SLICE_EVENTS }))
        last = position
      isMore = last !== undefined && (await this.#remove({ ...what, upTo: last }))
    }
  }

  /** Each stream for which this rule decides. */
  async #inStreams(upTo: Position, category: string | undefined): Promise<void> {
    for await (const info of this.#log.streams(category === undefined ? {} : { category }))
      if (this.#rules.of(info.stream, info.category) === this.#rule) await this.#inStream(info, upTo)
  }

  async #inStream({ stream, firstRevision, revision }: Extent, upTo: Position): Promise<void> {
    const { maxEvents = Infinity } = this.#rule
    let before = Math.max(firstRevision, revision + 1 - maxEvents)
    if (upTo !== START && before <= revision) {
      let firstYounger = revision + 1
      for await (const event of this.#log.read({ stream }, { from: upTo, limit: 1 }))
        firstYounger = event.revision
      before = Math.max(before, firstYounger)
    }
    let isMore = true
    for (let first = firstRevision; isMore && first < before;) {
      first = Math.min(first + SLICE_EVENTS, before)
      isMore = await this.#remove({ stream, beforeRevision: first })
    }
  }

  async #infoOf(stream: string): Promise<Extent> {
    for await (const { revision } of this.#log.read({ stream }, { limit: 1 }))
      return { stream, firstRevision: revision, revision: (await this.#log.revision(stream)) as number }
    return { stream, firstRevision: 0, revision: -1 }
  }

  /** @returns whether there may be more to remove, which no hold keeps */
  async #remove(what: Truncation): Promise<boolean> {
    const { archive: directory, source, signal } = this.#options
    signal?.throwIfAborted()
    const removal =
      directory === undefined
        ? await this.#log.truncate(what)
        : await this.#archive(what, {
            directory,
            ...(source !== undefined && { source }),
            ...(signal && { signal }),
          })
    this.#removed += removal.removed
    this.#heldBy ??= removal.heldBy
    return removal.removed > 0 && removal.heldBy === undefined
  }

  async #archive(what: Truncation, options: ArchiveOptions): Promise<Archived> {
    const archived = await archive(this.#log, what, options)
    if (archived.file !== undefined) this.#archives.push(archived.file)
    return archived
  }
}

/** Which revisions of a stream are there; none if the first is behind the last. */
type Extent = Pick<StreamInfo, 'stream' | 'firstRevision' | 'revision'>
