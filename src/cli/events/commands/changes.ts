import type { Command } from 'commander'
import type { AppendOptions } from '../append.js'
import type { PlaceOptions } from '../place.js'
import type { RetainCommandOptions } from '../retain.js'
import type { TruncateOptions } from '../truncate.js'
import { MOMENT_HELP, onLog, onLogOrNode, several } from './common.js'

const REMOVAL_HELP = `
Revisions and positions go on as if nothing had been removed, and ids of commits stay
known. What a hold keeps is not removed, see banyan events holds.`

/** Options that say what is removed. */
function removing(command: Command): Command {
  return command
    .option('-s, --stream <name>', 'those of this stream; with --before-revision')
    .option('--before-revision <number>', 'below this revision')
    .option('--category <name>', 'those of the streams of this category; with --up-to')
    .option('--all', 'those of the whole log; with --up-to')
    .option('--up-to <position>', 'up to this position, with it')
    .option('--yes', 'do not ask')
    .option('--json', 'print JSON')
}

/** The commands that change a log. */
export function registerChanges(events: Command): void {
  const append = events
    .command('append')
    .description('append one event; the log is made if it is not there')
    .argument('[stream]', 'the history it belongs to, as order-17')
    .argument('[type]', 'what happened, as OrderPaid')
    .argument('[data]', 'JSON, `@FILE`, or `-` for standard input (default: no data)')
    .option(
      '-e, --expect <what>',
      'append only if the stream is so: any, none, exists, or its last revision (default: any)',
    )
    .option(
      '--id <id>',
      'of the commit: the same again appends nothing and tells the first result (default: a new UUID)',
    )
    .option('-m, --metadata <name=text>', 'actor=ada, or attempt:=3 for JSON; several times', several)
    .option('-t, --tag <tag>', 'to select it by across streams; several times', several)
    .option('--time <time>', 'when it happened, in ISO 8601 or as 10m for ten minutes ago (default: now)')
    .option('--schema-version <number>', 'which form of its type the data has (default: 1)')
    .option('--binary', 'data is bytes, not JSON; from `@FILE` or `-`')
    .option('--batch', 'append CloudEvents instead, one on each line of standard input')
    .option('--json', 'print JSON')
  onLogOrNode(append)
    .addHelpText(
      'after',
      `
Ends with 0 if it is in the log, durably; with 3 if the stream is not as expected,
and then nothing was appended.

With --batch each CloudEvent goes to the stream of its \`banyanstream\`, else \`subject\`, else
\`source\`; or all go to the one that is given. Those that are in the log already, by
their ids, are passed over. In the order of the lines; what stands in the way of one
leaves those before it appended.

Examples:
  banyan events append order-17 OrderPaid '{"total":30}' --expect 3
  banyan events append order-17 InvoiceStored @invoice.json -t customer:7 -m actor=ada
  curl -s https://example.com/events | banyan events append --batch`,
    )
    .action(
      async (
        stream: string | undefined,
        type: string | undefined,
        data: string | undefined,
        options: AppendOptions,
      ) => (await import('../append.js')).append(stream, type, data, options),
    )

  const truncate = events.command('truncate').description('remove events for good; asks first')
  onLog(removing(truncate))
    .addHelpText('after', `${REMOVAL_HELP}\n${MOMENT_HELP}`)
    .action(async (options: TruncateOptions) => (await import('../truncate.js')).truncate(options))

  const archive = events
    .command('archive')
    .description('move events to a file; asks first')
    .argument('<directory>', 'where the file is made: lines of CloudEvents, packed; import takes it')
  onLog(removing(archive))
    .addHelpText(
      'after',
      `
The file is complete, on disk and has been read again before anything is removed. It
is named for what it has, as category-order-0000000000000001.ndjson.gz.
${REMOVAL_HELP}
${MOMENT_HELP}`,
    )
    .action(async (directory: string, options: TruncateOptions) =>
      (await import('../truncate.js')).archiveTo(directory, options),
    )

  const retain = events
    .command('retain')
    .description('remove what a rule does not keep, once; asks first')
    .option('-s, --stream <name>', 'the rule is about this stream (default: every stream)')
    .option('--category <name>', 'the rule is about the streams of this category')
    .option('--max-age <duration>', 'remove events recorded longer ago, as 90d (units ms, s, m, h, d)')
    .option('--max-events <count>', 'remove the first events of each stream that has more')
    .option('--archive <directory>', 'move them to files there, instead of removing them for good')
    .option('--yes', 'do not ask')
    .option('--json', 'print JSON')
  onLog(retain)
    .addHelpText(
      'after',
      `
Without a rule, those of \`events.retention\` of the configuration.
${REMOVAL_HELP}

Example:
  banyan events retain --category session --max-age 30d`,
    )
    .action(async (options: RetainCommandOptions) => (await import('../retain.js')).retainOnce(options))

  const hold = events
    .command('hold')
    .description('keep everything after a position from being truncated; moves the hold if there is one')
    .argument('<name>', 'whose hold')
    .argument('<position>', 'what it has seen')
    .option('--json', 'print JSON')
  onLog(hold)
    .addHelpText('after', MOMENT_HELP)
    .action(async (name: string, position: string, options: PlaceOptions & { json?: true }) =>
      (await import('../holds.js')).hold(name, position, options),
    )

  const release = events.command('release').description('take a hold away').argument('<name>', 'whose hold')
  onLog(release)
    .option('--json', 'print JSON')
    .action(async (name: string, options: PlaceOptions & { json?: true }) =>
      (await import('../holds.js')).release(name, options),
    )
}
