import { importEvents, type ImportOptions, type ImportResult } from '../../events/transfer/index.js'
import { note } from '../output.js'
import { paint } from '../paint.js'
import { CONFLICT, conflictText } from './conflict.js'
import { linesOf } from './input.js'
import { shortPosition } from './moment.js'
import type { PlaceOptions } from './place.js'
import { Progress } from './progress.js'
import { onLog, type Session } from './session.js'
import { countOf } from './show/numbers.js'

/** Options of `banyan events import`. */
export interface ImportCommandOptions extends PlaceOptions {
  renumber?: true
  dryRun?: true
  json?: true
}

/** `banyan events import`: appends lines of CloudEvents, as `export` makes them or any other producer. */
export async function importFrom(file: string, options: ImportCommandOptions): Promise<void> {
  await onLog(
    options,
    (session) =>
      importLines(file, session, options, {
        revisions: options.renumber ? 'renumber' : 'keep',
        dryRun: options.dryRun === true,
      }),
    { appends: true },
  )
}

/** Imports, and tells what came of it. */
export async function importLines(
  file: string,
  { log, output, signal }: Session,
  { json, dryRun }: { json?: true; dryRun?: true },
  options: ImportOptions,
): Promise<void> {
  if (file === '-' && process.stdin.isTTY)
    note('reading CloudEvents from this terminal, one on each line; Ctrl-D ends it')
  const progress = new Progress('read')
  let result: ImportResult
  try {
    result = await importEvents(log, progress.over(linesOf(file)), { ...options, signal })
  } finally {
    progress.clear()
  }
  if (!result.ok) process.exitCode = CONFLICT
  if (json) {
    output.json(result)
    return
  }
  const { events, commits, duplicates, skipped, position } = result
  const there = duplicates === 0 ? '' : `, ${countOf(duplicates, 'event')} were there already`
  const left = skipped === 0 ? '' : `, ${skipped} of the state of subscriptions left out`
  const done = dryRun ? 'would be appended' : 'appended'
  const until = dryRun || position === '0' ? '' : paint('gray', `  up to position ${shortPosition(position)}`)
  output.add(`${countOf(events, 'event')} in ${countOf(commits, 'commit')} ${done}${there}${left}${until}`)
  if (!result.ok) {
    const { line, conflicts } = result
    console.error(
      paint(
        'red',
        `line ${line}: ${conflicts.map(conflictText).join('; ')}. Nothing from this line on is appended`,
      ),
    )
  }
}
