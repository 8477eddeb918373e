import type { Command } from 'commander'
import { MOMENT_HELP, onLogOrNode } from '../events/commands/common.js'
import type { AuditCommandOptions } from './audit.js'
import type { DiffOptions } from './diff.js'
import type { TimeTravelOptions } from './time-travel.js'

const DECIDER = [
  '-d, --decider <module>',
  'what makes states of events: ./orders.js or ./orders.ts#order, which exports initialState and evolve',
] as const

/** `banyan streams`: how things were, what has changed in them, and who did it. */
export function registerStreams(program: Command): void {
  const streams = program
    .command('streams')
    .description('look back at things: how they were, what has changed, and who did it')
    .helpCommand(false)
    .addHelpText(
      'after',
      `
A log knows events, and not what they make: with --decider, a module of yours says so
(\`initialState\` and \`evolve\`), and states are shown. Without it, events are.

Which log: as with banyan events, see banyan events --help.

Examples:
  banyan streams time-travel order-17 --at 2026-09-22T14:30 -d ./orders.js
  banyan streams diff order-17 --from-revision 3 -d ./orders.js
  banyan streams audit order-17
  banyan streams audit --actor ada --from 1d

Exit codes: 0 fine; 1 a problem; 2 wrong usage; 130 stopped by Ctrl-C, 143 by SIGTERM.`,
    )

  const travel = streams
    .command('time-travel')
    .description('show a thing as it was')
    .argument('<stream>', 'its stream, as order-17')
    .option('--at <moment>', 'a time, or a position (default: end)')
    .option('--at-revision <number>', 'after the event of this revision')
    .option('--at-position <position>', 'at this place in the log')
    .option(...DECIDER)
    .option('--json', 'print JSON; without a decider, a CloudEvent on each line')
  onLogOrNode(travel)
    .addHelpText('after', MOMENT_HELP)
    .action(async (stream: string, options: TimeTravelOptions) =>
      (await import('./time-travel.js')).timeTravel(stream, options),
    )

  const diff = streams
    .command('diff')
    .description('show what has changed in a thing between two moments, and what has happened')
    .argument('<stream>', 'its stream, as order-17')
    .option('--from <moment>', 'a time or a position (default: start)')
    .option('--from-revision <number>', 'after the event of this revision')
    .option('--to <moment>', 'a time or a position (default: end)')
    .option('--to-revision <number>', 'after the event of this revision')
    .option(...DECIDER)
    .option('--json', 'print JSON')
  onLogOrNode(diff)
    .addHelpText(
      'after',
      `${MOMENT_HELP}

Without a decider, each event is compared with the last one of its type before it.`,
    )
    .action(async (stream: string, options: DiffOptions) => (await import('./diff.js')).diff(stream, options))

  const audit = streams
    .command('audit')
    .description('show who did what, when and why')
    .argument('[stream]', 'of this stream only')
    .option('--category <name>', 'of the streams of this category only')
    .option('--actor <name>', 'what somebody did')
    .option('--correlation <id>', 'what belongs to this')
    .option('--from <moment>', 'only after this time or position (default: start)')
    .option('--to <moment>', 'only up to this time or position (default: end)')
    .option(...DECIDER)
    .option('--json', 'a JSON object on each line')
  onLogOrNode(audit)
    .addHelpText('after', MOMENT_HELP)
    .action(async (stream: string | undefined, options: AuditCommandOptions) =>
      (await import('./audit.js')).audit(stream, options),
    )
}
