import type { Command } from 'commander'
import type { ReplicasOptions } from './node-replicas.js'

/** `banyan replicas`: who leads and who follows, how far behind, and promotion by an operator. */
export function registerReplicas(program: Command): void {
  const replicas = program
    .command('replicas')
    .description('see who leads and who follows, and how far behind; promote a follower')
    .helpCommand(false)
    .addHelpText(
      'after',
      `
Examples:
  banyan replicas                       databases that the node watches, and its event log
  banyan replicas --watch               live
  banyan replicas show shop             one of them, with all that is known
  banyan replicas promote shop --to b   let the server b of the database shop lead
  banyan replicas promote events        let the copy of the log that this node has lead

Exit codes: 0 fine; 1 a problem; 2 wrong usage; 130 stopped by Ctrl-C, 143 by SIGTERM.`,
    )

  watching(
    onNode(
      replicas
        .command('list', { isDefault: true })
        .description('list all; the default')
        .argument('[name]', 'only this one'),
    ),
  ).action(async (name: string | undefined, options: ReplicasOptions) =>
    (await import('./look.js')).list(name, options),
  )

  watching(
    onNode(
      replicas
        .command('show')
        .description('show one, with all that is known of each server or copy')
        .argument('<name>', 'of the replicas; `events` for the event log'),
    ),
  ).action(async (name: string, options: ReplicasOptions) => (await import('./look.js')).show(name, options))

  onNode(
    replicas
      .command('promote')
      .description('make a leader of a follower; asks first')
      .argument('<name>', 'of the replicas; `events` for the copy of an event log that the node has')
      .option('--to <server>', 'of a database: who shall lead (default: who has received most)')
      .option('--force', 'go on if the leader cannot hand over: what it has not sent is lost')
      .option('-y, --yes', 'do not ask'),
  )
    .addHelpText(
      'after',
      `
While the leader can be reached it is stopped first, and nothing is lost. Where it cannot
be, nothing is done without --force.`,
    )
    .action(async (name: string, options: ReplicasOptions & { to?: string; force?: true; yes?: true }) =>
      (await import('./promote.js')).promote(name, options),
    )
}

function onNode(command: Command): Command {
  return command
    .option('-a, --admin <url>', 'the node with this admin address (default: http://127.0.0.1:8081)')
    .option('--json', 'print JSON')
}

function watching(command: Command): Command {
  return command.option(
    '-w, --watch',
    'go on until Ctrl-C, live; with --json a line each time something has changed',
  )
}
