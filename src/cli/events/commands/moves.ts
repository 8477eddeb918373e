import type { Command } from 'commander'
import type { ExportCommandOptions } from '../export.js'
import type { ImportCommandOptions } from '../import.js'
import type { PlaceOptions } from '../place.js'
import { MOMENT_HELP, onLog, onLogOrNode, selecting } from './common.js'

/** The commands that bring events into a log and out of it. */
export function registerMoves(events: Command): void {
  const exporting = events
    .command('export')
    .description('write events as lines of JSON, each a CloudEvent')
    .argument(
      '[file]',
      'a file that is not there yet, packed if it ends in .gz; or `-` (default: standard output)',
    )
  selecting(exporting)
    .option('--from <position>', 'only those after this position (default: start)')
    .option('--to <position>', 'only those up to this position, with it (default: end)')
    .option('--from-revision <number>', 'only from this revision on; with --stream')
    .option('--to-revision <number>', 'only up to this revision, with it; with --stream')
    .option('--source <uri>', '`source` of the CloudEvents, which names the log (default: /banyan)')
    .option('--json', 'tell what was written to the file as JSON')
  onLogOrNode(exporting)
    .addHelpText('after', MOMENT_HELP)
    .action(async (file: string | undefined, options: ExportCommandOptions) =>
      (await import('../export.js')).exportTo(file, options),
    )

  const importing = events
    .command('import')
    .description('append events from lines of JSON, each a CloudEvent; the log is made if it is not there')
    .argument('<file>', 'a file, unpacked if it ends in .gz; or `-` for standard input')
    .option('--renumber', 'append to what the streams hold, instead of keeping the revisions')
    .option('--dry-run', 'read and check everything, append nothing')
    .option('--json', 'print JSON')
  onLogOrNode(importing)
    .addHelpText(
      'after',
      `
Commits stay together and keep their ids: the same import again appends nothing, and
one that was interrupted goes on. A line that is no CloudEvent ends it with its number
and column: what stands before it is in the log, nothing behind it.

Ends with 3 if a stream is not at the revision that the file goes on from.`,
    )
    .action(async (file: string, options: ImportCommandOptions) =>
      (await import('../import.js')).importFrom(file, options),
    )

  const backup = events
    .command('backup')
    .description('copy a log of SQLite while it is in use')
    .argument('<file>', 'a file that is not there yet')
    .option('--json', 'print JSON')
  onLog(backup).action(async (file: string, options: PlaceOptions & { json?: true }) =>
    (await import('../backup.js')).backup(file, options),
  )

  events
    .command('restore')
    .description('make a log of SQLite of a backup, after checking it')
    .argument('<file>', 'the backup')
    .argument('<to>', 'where the log shall be, as ./data or sqlite:./data; there must be none')
    .option('--json', 'print JSON')
    .action(async (file: string, to: string, options: { json?: true }) =>
      (await import('../backup.js')).restore(file, to, options),
    )

  const migrate = events
    .command('migrate')
    .description('make the tables of a log on PostgreSQL, or bring those of an older version up to date')
    .option('--json', 'print JSON')
  onLog(migrate).action(async (options: PlaceOptions & { json?: true }) =>
    (await import('../migrate.js')).migrate(options),
  )
}
