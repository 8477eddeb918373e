import { checkOptions, type OptionTable } from '../../core/options.js'
import { streamOf, type ReceivedEvent } from '../cloudevents/index.js'
import type { EventLog } from '../log.js'
import { readCommits, type Lines } from './commits.js'
import { Importer } from './importer.js'
import type { ImportResult } from './import-result.js'

/** Options of {@link importEvents}. */
export interface ImportOptions {
  /**
   * The stream of an event. Default: the one it had; for a CloudEvent of another producer its `subject`, else its `source`.
   */
  stream?: (event: ReceivedEvent) => string
  /**
   * `keep`: events get the revisions that they had, or the import ends with a conflict. `renumber`: they are appended to
   * whatever is there. Default `keep`.
   */
  revisions?: 'keep' | 'renumber'
  /** Reads and checks everything, appends nothing. Default false. */
  dryRun?: boolean
  /** How many commits may wait for the log; default 1,024. */
  inFlight?: number
  /** Ends it early; what was appended stays, and the same import again goes on. */
  signal?: AbortSignal
}

const OPTIONS: OptionTable<ImportOptions> = {
  stream: { kind: 'code', type: 'function', doc: 'the stream of an event' },
  revisions: { kind: 'choice', values: ['keep', 'renumber'], doc: 'whether events keep their revisions' },
  dryRun: { kind: 'boolean', doc: 'only check' },
  inFlight: { kind: 'number', min: 1, integer: true, doc: 'how many commits may wait for the log' },
  signal: { kind: 'code', type: 'object', doc: 'ends it early' },
}

/**
 * Appends the events of lines of CloudEvents, as `exportEvents` makes them or any other producer. Commits stay together and
 * keep their ids, events their ids, times, revisions and order; positions and the time of recording are those of this log.
 * What patterns keep for themselves is left out: subscriptions begin anew.
 *
 * The same lines again append nothing: an import that was interrupted is simply started again. Many commits are on their way
 * at the same time; memory stays flat.
 *
 * @param lines - each a CloudEvent; empty ones are passed over
 * @returns what was appended; or where a stream is not at the revision that the file goes on from
 * @throws `BANYAN_INVALID_EVENT` with line and column for a line that is no CloudEvent: everything before it is in the log,
 *   nothing behind it. What `append` throws, with the line
 */
export async function importEvents(
  log: EventLog,
  lines: Lines,
  options: ImportOptions = {},
): Promise<ImportResult> {
  checkOptions('importEvents', OPTIONS, options)
  const { stream = streamOf, revisions = 'keep', dryRun = false, inFlight = 1024, signal } = options
  const importer = await Importer.open(log, { dryRun, inFlight })
  try {
    for await (const commit of readCommits(lines, stream, revisions === 'keep')) {
      signal?.throwIfAborted()
      if (!(await importer.add(commit))) break
    }
  } catch (error) {
    // What stands before a bad line belongs into the log; if that fails too, it is what went wrong first.
    await importer.finish()
    throw error
  }
  await importer.finish()
  return importer.result
}
