import type { Command } from 'commander'
import { registerChanges } from './commands/changes.js'
import { registerMoves } from './commands/moves.js'
import { registerViews } from './commands/views.js'

/**
 * `banyan events`: everything that can be done to an event log from outside.
 *
 * Each command opens the log that `place.ts` finds, works on it in a `session.ts`, and lets go of it; how events look is
 * in `show/`.
 */
export function registerEvents(program: Command): void {
  const events = program
    .command('events')
    .description('read, follow, append to and look after an event log')
    .helpCommand(false)
    .addHelpText(
      'after',
      `
Which log: --log sqlite:./data or --log postgres://user:password@host/database; else
\`events\` of the configuration given with -c; else what BANYAN_LOG says, as --log; else
\`events\` of the banyan.yaml in this folder.

Examples:
  banyan events tail                                 the last events, then what comes
  banyan events read --stream order-17               the history of one thing
  banyan events read --tag customer:7 --from 1d      what a customer did since yesterday
  banyan events append order-17 OrderPaid '{"total":30}' --expect 3
  banyan events verify                               is everything as it was appended?
  banyan events backup copy.db                       while the log is in use

Exit codes: 0 fine; 1 a problem; 2 wrong usage; 3 a stream was not as expected, and
nothing was appended; 130 stopped by Ctrl-C before the end, 143 by SIGTERM.`,
    )
  registerViews(events)
  registerChanges(events)
  registerMoves(events)
}
