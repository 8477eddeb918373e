import type { Command } from 'commander'

interface Options {
  admin?: string
  json?: true
}

interface Discarding {
  table?: string
  key?: string[]
  yes?: true
}

/** `banyan cdc`: databases whose changes become events, how far that is, and what is parked. */
export function registerCdc(program: Command): void {
  const cdc = program
    .command('cdc')
    .description('change data capture: how far databases are captured, what is parked')
    .helpCommand(false)
    .addHelpText(
      'after',
      `
Examples:
  banyan cdc status                  what each capture does, how far it is, what is wrong
  banyan cdc resnapshot legacy       bring the log to what the tables hold now
  banyan cdc parked legacy           rows that could not be taken, and why
  banyan cdc retry legacy            try them again
  banyan cdc discard legacy 12       throw the parked row 12 away, and go on without it
  banyan cdc remove legacy --from postgres://user:password@host/database

Exit codes: 0 fine; 1 a problem; 2 wrong usage; 130 stopped by Ctrl-C, 143 by SIGTERM.`,
    )

  onNode(cdc.command('status').description('show every capture').argument('[name]', 'only this one')).action(
    async (name: string | undefined, options: Options) => (await import('./status.js')).status(name, options),
  )

  onNode(
    cdc
      .command('resnapshot')
      .description('take a new snapshot of the tables; it goes on by itself')
      .argument('<name>', 'which capture'),
  )
    .addHelpText(
      'after',
      `
Every row comes again, and rows that the tables have no more are deleted. What was
changed since the last captured place comes as its outcome only. How far it is says
banyan cdc status.`,
    )
    .action(async (name: string, options: Options) =>
      (await import('./changes.js')).resnapshot(name, options),
    )

  onNode(
    cdc
      .command('parked')
      .description('list rows that could not be taken, and those that wait behind them')
      .argument('<name>', 'which capture'),
  ).action(async (name: string, options: Options) => (await import('./parked.js')).parked(name, options))

  onNode(
    cdc
      .command('retry')
      .description('try parked rows again, those of one key in their order')
      .argument('<name>', 'which capture'),
  ).action(async (name: string, options: Options) => (await import('./changes.js')).retry(name, options))

  onNode(
    cdc
      .command('discard')
      .description('throw parked rows away for good; asks first')
      .argument('<name>', 'which capture')
      .argument('[id]', 'of one row, as parked tells it')
      .option('--table <table>', 'instead of an id: as configured, as public.customers')
      .option('--key <column=value...>', 'with --table: everything that is parked of this key')
      .option('-y, --yes', 'do not ask'),
  )
    .addHelpText(
      'after',
      `
What has waited behind them is tried at once. The events of such a row are as the table
again with its next change, or with banyan cdc resnapshot, which discards what is parked
of its tables by itself.`,
    )
    .action(async (name: string, id: string | undefined, options: Options & Discarding) =>
      (await import('./discard.js')).discard(name, id, options),
    )

  cdc
    .command('remove')
    .description('drop the slot and the publication of a capture that nobody runs any more')
    .argument('<name>', 'which capture')
    .requiredOption('--from <url>', 'the database: postgres://user:password@host/database')
    .option('-y, --yes', 'do not ask')
    .addHelpText(
      'after',
      `
Take it out of the configuration first. The events stay; what is captured under this
name later begins with a new snapshot.`,
    )
    .action(async (name: string, options: { from: string; yes?: true }) =>
      (await import('./changes.js')).remove(name, options),
    )
}

function onNode(command: Command): Command {
  return command
    .option('-a, --admin <url>', 'the node with this admin address (default: http://127.0.0.1:8081)')
    .option('--json', 'print JSON')
}
