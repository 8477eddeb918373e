import { Argument, type Command } from 'commander'
import type { OutboxPlace } from './place.js'

type Options = OutboxPlace & { json?: true }

/** `banyan outbox`: messages that wait in databases of applications, and what to do if some do not go on. */
export function registerOutbox(program: Command): void {
  const outbox = program
    .command('outbox')
    .description('messages that wait to be relayed: how many, how long, which are parked and why')
    .helpCommand(false)
    .addHelpText(
      'after',
      `
Outboxes are those that a running node relays (-a), or the one of a database (--database).

Examples:
  banyan outbox status                                what waits, what is parked
  banyan outbox status --database postgres://localhost/shop
  banyan outbox redrive shop order-17                 try again, then what it held back
  banyan outbox discard shop 0198a3c2-...             go on without that message
  banyan outbox schema postgres > outbox.sql          its tables, for your own migrations

Exit codes: 0 fine; 1 a problem; 2 wrong usage; 130 stopped by Ctrl-C, 143 by SIGTERM.`,
    )

  onOutboxes(
    outbox
      .command('status', { isDefault: true })
      .description('show what waits and what is parked; the default')
      .argument('[name]', 'only of this one'),
  ).action(async (name: string | undefined, options: Options) =>
    (await import('./status.js')).status(name, options),
  )

  onOutboxes(
    outbox
      .command('redrive')
      .description('try messages again that the log has refused, then what they held back')
      .argument('<name>', 'of the outbox; with --database any')
      .argument('[lane...]', 'whose, as status tells them: topic-key, or @ID for a message without a key')
      .option('--all', 'every parked lane'),
  )
    .addHelpText('after', '\nEnds with 1 if one of the lanes is not parked; the others go on.')
    .action(async (name: string, lanes: string[], options: Options & { all?: true }) =>
      (await import('./changes.js')).redrive(name, lanes, options),
    )

  onOutboxes(
    outbox
      .command('discard')
      .description('remove a parked message for good; asks first')
      .argument('<name>', 'of the outbox; with --database any')
      .argument('<id>', 'of the message, as status tells it')
      .option('--lane <lane>', 'its lane; needed if messages of that id are parked in several')
      .option('--yes', 'do not ask'),
  ).action(async (name: string, id: string, options: Options & { lane?: string; yes?: true }) =>
    (await import('./changes.js')).discard(name, id, options),
  )

  outbox
    .command('schema')
    .description('print the SQL that makes the tables, for those who migrate their databases themselves')
    .addArgument(new Argument('<engine>', 'for which database').choices(['postgres', 'sqlite']))
    .option('--inbox', 'the tables of an inbox')
    .action(async (engine: 'postgres' | 'sqlite', options: { inbox?: true }) =>
      (await import('./schema.js')).schema(engine, options),
    )
}

function onOutboxes(command: Command): Command {
  return command
    .option('-a, --admin <url>', 'the node with this admin address (default: http://127.0.0.1:8081)')
    .option('-d, --database <url>', 'without a node: sqlite:./app.db or postgres://host/database')
    .option('--json', 'print JSON')
}
