import type { Command } from 'commander'
import type { ApplyOptions } from './apply.js'
import type { GetOptions } from './get.js'
import type { WhereOptions } from './options.js'
import type { DeleteOptions } from './remove.js'

/** Commands on resources: as those of kubectl, on the API that a node serves. */
export function registerResources(program: Command): void {
  looking(where(program.command('get')))
    .description('list resources, or the kinds of them')
    .argument('[what...]', 'KIND, KIND NAME, KIND/NAME, or several kinds with commas; without it, the kinds')
    .option('-w, --watch', 'go on until Ctrl-C, live')
    .addHelpText(
      'after',
      `
Examples:
  banyan get                                  the kinds that the node serves
  banyan get promotions                       those of the namespace \`default\`
  banyan get promotions -A -l season=summer   of all namespaces, by a label
  banyan get promotion summer -o yaml         one, whole
  banyan get routes,services -w               not live: --watch shows one kind`,
    )
    .action(async (what: string[], options: GetOptions) => (await import('./get.js')).get(what, options))

  looking(where(program.command('watch')))
    .description('what becomes of resources, live: the same as get --watch')
    .argument('<what...>', 'KIND, KIND NAME or KIND/NAME')
    .action(async (what: string[], options: GetOptions) =>
      (await import('./get.js')).get(what, { ...options, watch: true }),
    )

  where(program.command('describe'))
    .description('tell all that is known of resources: conditions, owners, who set which field')
    .argument('<what...>', 'KIND NAME or KIND/NAME')
    .option('--json', 'print JSON')
    .action(async (what: string[], options: WhereOptions & { json?: true }) =>
      (await import('./describe.js')).describe(what, options),
    )

  where(program.command('apply'))
    .description('make resources what files say; fields that the files do not have stay')
    .requiredOption('-f, --filename <file...>', 'files, folders of YAML and JSON, or - for standard input')
    .option('--manager <name>', 'who owns the fields that are set (default: banyan)')
    .option('--force', 'take fields that others own')
    .option('--dry-run', 'check everything, and change nothing')
    .option('-o, --output <format>', 'yaml, json or name')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Each field belongs to who has set it. A field that another one owns, and that would
get another value, is a conflict: it is told, and that resource is left as it is.
A field that the file no longer has goes, if nobody else owns it.

Ends with 0 if all are applied, with 1 if one is refused; the others are applied.`,
    )
    .action(async (options: ApplyOptions) => (await import('./apply.js')).apply(options))

  where(program.command('delete'))
    .description('delete resources, and wait until they are gone')
    .argument('[what...]', 'KIND NAME, KIND/NAME, or KIND with --selector or --all')
    .option('-f, --filename <file...>', 'those in files, in folders, or on standard input (-)')
    .option('-l, --selector <labels>', 'those with these labels')
    .option('--all', 'all of the namespace; asks first')
    .option(
      '--cascade <how>',
      'what becomes of those that belong to them: background, foreground or orphan',
      'background',
    )
    .option('--no-wait', 'do not wait until they are gone')
    .option('--timeout <duration>', 'how long to wait, such as 30s (default: until they are gone)')
    .option('-y, --yes', 'do not ask')
    .action(async (what: string[], options: DeleteOptions) =>
      (await import('./remove.js')).remove(what, options),
    )
}

function where(command: Command): Command {
  return command
    .option('-n, --namespace <name>', 'of this namespace', 'default')
    .option('-a, --admin <url>', 'the node with this admin address (default: http://127.0.0.1:8081)')
}

function looking(command: Command): Command {
  return command
    .option('-A, --all-namespaces', 'of all namespaces')
    .option('-l, --selector <labels>', 'by labels: app=shop,tier in (web, api),!canary')
    .option('--field-selector <fields>', 'by fields: metadata.name=summer')
    .option('-o, --output <format>', 'wide, yaml, json or name')
    .option('--json', 'print JSON')
}
