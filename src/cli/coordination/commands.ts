import type { Command } from 'commander'
import { suggest } from '../../core/suggest.js'
import { UsageError } from '../usage-error.js'

/** Of commands that ask for something. */
export const ACTOR = ['--actor <name>', 'who asks (default: your user name)'] as const
const PLACE_HELP = `
Which coordinator, the first of these that is there: --on, -c, -a; BANYAN_COORDINATOR, as --on;
the \`coordination\` of the banyan.yaml in this folder; the node at 127.0.0.1:8081.

Exit codes: 0 fine; 1 a problem; 2 wrong usage.`

/** A command with commands below it. */
export function group(program: Command, name: string, description: string, examples: string): Command {
  return program
    .command(name)
    .description(description)
    .helpCommand(false)
    .addHelpText('after', `${examples}${examples === '' ? '' : '\n'}${PLACE_HELP}`)
}

/** The command below it that looks. */
export function listing(parent: Command, description: string): Command {
  const command = parent
    .command('list', { isDefault: true })
    .description(description)
    .argument('[name]', 'only this one, with its past')
    .option('-w, --watch', 'go on until Ctrl-C, live; with --json a line each time something has changed')
    // Whoever gets the word of a command wrong ends here, with all that comes after it.
    .allowExcessArguments()
    .hook('preAction', (_, { args: [first = '', ...more] }) => {
      if (more.length === 0) return
      throw new UsageError(
        `there is no command banyan ${parent.name()} ${first}${nearCommand(parent, first) ?? `; there are ${commandsOf(parent).join(', ')}`}`,
      )
    })
  return placed(command)
}

/** The command that was most likely meant. */
export function nearCommand(parent: Command, word: string): string | undefined {
  const near = suggest(word, commandsOf(parent))
  return near === undefined ? undefined : `, did you mean banyan ${parent.name()} ${near}?`
}

function commandsOf(parent: Command): string[] {
  return parent.commands.map((command) => command.name())
}

/** Says on which coordinator. */
export function placed(command: Command): Command {
  return command
    .option('--on <url>', 'the coordinator: sqlite:./data, postgres://host/database or etcd://host:2379')
    .option('-c, --config <file>', 'configuration whose `coordination` it is')
    .option('-a, --admin <url>', 'that of the node with this admin address')
    .option('--json', 'print JSON')
}
