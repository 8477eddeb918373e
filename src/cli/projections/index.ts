import type { Command } from 'commander'
import type { RebuildFlags, SwitchFlags } from './input.js'
import type { ProjectionPlace } from './place.js'

type Options = ProjectionPlace & { json?: true }

const ADMIN = [
  '-a, --admin <url>',
  'the node with this admin address (default: http://127.0.0.1:8081)',
] as const

/** `banyan projections`: which read models there are, how far they are, and which version of them is read. */
export function registerProjections(program: Command): void {
  const projections = program
    .command('projections')
    .description('read models: how far they are, which version is read, what is parked')
    .helpCommand(false)
    .addHelpText(
      'after',
      `
They are those of a running node (-a). Without one, most can be done on a store and its
log: --store sqlite:./read --log sqlite:./data, or -c for those of a configuration.

Examples:
  banyan projections status                     every version, how far it is, what is wrong
  banyan projections rebuild catalogue --switch build the version of the module, then read it
  banyan projections undo catalogue             read the version before again
  banyan projections parked catalogue           events that could not be handled, and why
  banyan projections redrive catalogue          try them again

Exit codes: 0 fine; 1 a problem; 2 wrong usage; 130 stopped by Ctrl-C, 143 by SIGTERM.`,
    )

  onNodeOrStore(
    projections
      .command('status')
      .description('show every version of every projection')
      .argument('[name]', 'only of this one'),
  ).action(async (name: string | undefined, options: Options) =>
    (await import('./status.js')).status(name, options),
  )

  onNode(
    projections
      .command('rebuild')
      .description('build a version from all events, beside the one that is read')
      .argument('<name>', 'which projection')
      .argument('[version]', 'which version (default: the newest that its module exports)')
      .option('--switch', 'read it as soon as it is built')
      .option('--force', 'the version that is read, too: readers find it empty until it is built')
      .option('--no-wait', 'do not wait until it is built'),
  )
    .addHelpText(
      'after',
      `
The node that runs the projection reads its module again, and builds the version. One
that is there is dropped first, unless it is just being built. Ctrl-C ends the waiting,
not the building.`,
    )
    .action(async (name: string, version: string | undefined, options: Options & RebuildFlags) =>
      (await import('./rebuild.js')).rebuild(name, version, options),
    )

  onNodeOrStore(
    projections
      .command('switch')
      .description('read another version from now on')
      .argument('<name>', 'which projection')
      .argument('<version>', 'which version')
      .option('--force', 'also one that is behind the one that is read')
      .option('--timeout <duration>', 'how long to wait until it is not behind (default: 10s)'),
  ).action(async (name: string, version: string, options: Options & SwitchFlags) =>
    (await import('./versions.js')).switchVersion(name, version, options),
  )

  onNodeOrStore(
    projections
      .command('undo')
      .description('read the version that was read before')
      .argument('<name>', 'which projection')
      .option('--force', 'also if it is behind')
      .option('--timeout <duration>', 'how long to wait until it is not behind (default: 10s)'),
  ).action(async (name: string, options: Options & SwitchFlags) =>
    (await import('./versions.js')).undoSwitch(name, options),
  )

  onNodeOrStore(
    projections
      .command('drop')
      .description('remove a version with its tables')
      .argument('<name>', 'which projection')
      .argument('<version>', 'which version')
      .option('--force', 'also the one that is read')
      .option('-y, --yes', 'do not ask'),
  ).action(async (name: string, version: string, options: Options & { force?: true; yes?: true }) =>
    (await import('./versions.js')).dropVersion(name, version, options),
  )

  onNodeOrStore(
    projections
      .command('parked')
      .description('list events that could not be handled, and those that wait behind them')
      .argument('<name>', 'which projection')
      .argument('[version]', 'which version (default: the one that is read)'),
  ).action(async (name: string, version: string | undefined, options: Options) =>
    (await import('./parked.js')).parked(name, version, options),
  )

  onNode(
    projections
      .command('redrive')
      .description('try parked events again, those of one key in their order')
      .argument('<name>', 'which projection')
      .argument('[version]', 'which version (default: the one that is read)')
      .option('-k, --key <key>', 'only what is parked under this key'),
  ).action(async (name: string, version: string | undefined, options: Options & { key?: string }) =>
    (await import('./parked.js')).redrive(name, version, options),
  )
}

function onNode(command: Command): Command {
  return command.option(...ADMIN).option('--json', 'print JSON')
}

function onNodeOrStore(command: Command): Command {
  return onNode(command)
    .option('--store <url>', 'without a node: sqlite:./read or postgres://host/database')
    .option('--log <url>', 'with --store: the log, sqlite:./data or postgres://host/database')
    .option('-c, --config <file>', 'without a node: configuration whose `projections` and `events` they are')
}
