import { checkOptions, type OptionTable } from '../../core/options.js'
import { toCloudEvent } from '../cloudevents/index.js'
import type { EventLog, ReadOptions, RecordedEvent, Selector } from '../log.js'

/** Options of {@link exportEvents}. */
export interface ExportOptions extends Pick<
  ReadOptions,
  'from' | 'to' | 'fromRevision' | 'toRevision' | 'signal'
> {
  /** Which events; default all. */
  selector?: Selector
  /** The `source` of the CloudEvents: a URI reference that names this log. Default `/banyan`. */
  source?: string
}

const OPTIONS: OptionTable<ExportOptions> = {
  selector: { kind: 'code', type: 'object', doc: 'which events' },
  from: { kind: 'string', doc: 'only after this position' },
  to: { kind: 'string', doc: 'only up to this position' },
  fromRevision: { kind: 'number', min: 0, integer: true, doc: 'only from this revision on' },
  toRevision: { kind: 'number', min: 0, integer: true, doc: 'only up to this revision' },
  source: { kind: 'string', doc: 'the source of the CloudEvents' },
  signal: { kind: 'code', type: 'object', doc: 'ends it early' },
}

export const DEFAULT_SOURCE = '/banyan'

/**
 * Events as lines of JSON, each a CloudEvent, in the order of the log. What is selected of a commit stands together, and
 * says how much it is. Ends at what was the end of the log when it began; one page of events is in memory at a time, and
 * one commit.
 *
 * @returns lines without their newlines
 * @throws as `log.read` does; `BANYAN_INVALID_EVENT` if the source is not a URI reference
 */
export async function* exportEvents(
  log: EventLog,
  options: ExportOptions = {},
): AsyncGenerator<string, void, undefined> {
  checkOptions('exportEvents', OPTIONS, options)
  const { selector, source = DEFAULT_SOURCE, ...range } = options
  for await (const commit of commitsOf(log.read(selector, range))) yield* linesOf(commit, source)
}

/** Events that follow each other and belong to one commit. */
export async function* commitsOf(
  events: AsyncIterable<RecordedEvent>,
): AsyncGenerator<RecordedEvent[], void, undefined> {
  let commit: RecordedEvent[] = []
  for await (const event of events) {
    if (commit.length > 0 && commit[0]!.commit !== event.commit) {
      yield commit
      commit = []
    }
    commit.push(event)
  }
  if (commit.length > 0) yield commit
}

/** The lines of a commit. */
export function linesOf(commit: readonly RecordedEvent[], source: string): string[] {
  return commit.map((event, ordinal) =>
    JSON.stringify(toCloudEvent(event, { source, part: { ordinal, of: commit.length } })),
  )
}
