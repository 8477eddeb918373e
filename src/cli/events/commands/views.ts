import type { Command } from 'commander'
import type { CheckOptions } from '../check.js'
import type { PlaceOptions } from '../place.js'
import type { ReadCommandOptions } from '../read.js'
import type { StreamsCommandOptions } from '../streams.js'
import type { TailOptions } from '../tail.js'
import { MOMENT_HELP, onLog, onLogOrNode, selecting, showing } from './common.js'

/** The commands that look; nothing is changed by them. */
export function registerViews(events: Command): void {
  const tail = events.command('tail').description('show the last events, then those that come, until Ctrl-C')
  selecting(tail)
    .option('-n, --lines <count>', 'begin with so many events that are there (default: 20)')
    .option('--from <position>', 'begin after this position instead')
  onLogOrNode(showing(tail))
    .addHelpText('after', MOMENT_HELP)
    .action(async (options: TailOptions) => (await import('../tail.js')).tail(options))

  const read = events.command('read').description('show events that are there')
  selecting(read)
    .option('--from <position>', 'only those after this position (default: start)')
    .option('--to <position>', 'only those up to this position, with it (default: end)')
    .option('--from-revision <number>', 'only from this revision on; with --stream')
    .option('--to-revision <number>', 'only up to this revision, with it; with --stream')
    .option('-n, --limit <count>', 'at most so many (default: all)')
    .option('-b, --backwards', 'the last first')
  onLogOrNode(showing(read))
    .addHelpText('after', MOMENT_HELP)
    .action(async (options: ReadCommandOptions) => (await import('../read.js')).read(options))

  const streams = events.command('streams').description('list streams with their revisions, by name')
  onLogOrNode(streams)
    .option('--category <name>', 'of this category only')
    .option('--after <name>', 'only those after this name')
    .option('-n, --limit <count>', 'at most so many (default: all)')
    .option('--json', 'a JSON object on each line')
    .action(async (options: StreamsCommandOptions) => (await import('../streams.js')).streams(options))

  const stats = events.command('stats').description('count events, streams and bytes; what the log promises')
  onLogOrNode(stats)
    .option('--json', 'print JSON')
    .action(async (options: PlaceOptions & { json?: true }) => (await import('../stats.js')).stats(options))

  const verify = events
    .command('verify')
    .description('read everything and check that it is as it was appended')
  onLogOrNode(verify)
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Checks what the engine says of its own files, the checksum of every event, that
positions rise and that no revision of a stream is missing. Ends with 0 if
everything is sound, with 1 if something is damaged: each finding says where.`,
    )
    .action(async (options: PlaceOptions & { json?: true }) => (await import('../verify.js')).verify(options))

  const check = events
    .command('check')
    .description('check that the data of events is as the schemas of their types say')
    .argument(
      '[directory]',
      'of JSON Schemas, as OrderPlaced.schema.json (default: `events.types` of the configuration)',
    )
  onLogOrNode(selecting(check))
    .option('--allow-unknown', 'events whose type has no schema are fine')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nEnds with 0 if everything is as it should be, with 1 if something is not: to be run\nbefore a schema is put into force.',
    )
    .action(async (directory: string | undefined, options: CheckOptions) =>
      (await import('../check.js')).check(directory, options),
    )

  const holds = events.command('holds').description('list what keeps events from being truncated')
  onLog(holds)
    .option('--json', 'print JSON')
    .action(async (options: PlaceOptions & { json?: true }) => (await import('../holds.js')).holds(options))
}
