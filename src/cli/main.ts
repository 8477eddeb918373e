#!/usr/bin/env node
import { Argument, Command, CommanderError } from 'commander'
import { BanyanError } from '../core/errors.js'
import { version } from '../node/version.js'
import { registerEvents } from './events/index.js'
import { registerOutbox } from './outbox/index.js'
import { paint } from './paint.js'
import { registerCdc } from './cdc/index.js'
import { registerCoordination } from './coordination/index.js'
import { registerProjections } from './projections/index.js'
import { registerReplicas } from './replicas/index.js'
import type { DiffOptions } from './diff.js'
import type { ResourceDiffOptions } from './resources/diff.js'
import { registerResources } from './resources/index.js'
import { registerSagas } from './sagas/index.js'
import { registerStreams } from './streams/index.js'
import { registerSubscriptions } from './subscriptions/index.js'
import { registerTopics } from './topics/index.js'
import { UsageError } from './usage-error.js'

/** Exit codes of the command line. */
const EXIT = { problem: 1, usage: 2 } as const

const program = new Command('banyan')
  .description(
    'Distributed-system patterns for Node.js, in one process or many: a gateway with ' +
      'circuit breakers, retries, limits and more in front of your services. What runs ' +
      'is written in one file, banyan.yaml.',
  )
  .version(version, '-v, --version', 'print the version')
  .helpOption('-h, --help', 'print help')
  .helpCommand(false)
  .showSuggestionAfterError()
  .exitOverride()
  .configureOutput({ outputError: (text, write) => write(paint('red', text)) })
  .addHelpText(
    'after',
    `
Examples:
  banyan check                     is banyan.yaml right? every mistake at once
  banyan up                        run it
  banyan status                    what it does, live
  banyan diff                      what banyan.yaml would change in it
  banyan reload                    change it
  banyan explain                   why requests were refused
  banyan breaker open payments     keep calls away from a service
  banyan events tail               what happens in the event log, live
  banyan streams audit order-17    who did what to a thing, when and why
  banyan subscriptions             what waits to be handled, and what has failed
  banyan projections status        how far read models are
  banyan outbox status             what waits to be relayed
  banyan cdc status                how far other databases are captured
  banyan sagas                     where sagas are, and which wait for you
  banyan leaders                   who leads what, and who comes next
  banyan jobs                      when jobs run, and what came of it
  banyan replicas                  who leads and who follows, and how far behind
  banyan get                       kinds of resources, and what there is of them
  banyan apply -f promotion.yaml   make resources what a file says
  banyan schema > schema.json      JSON Schema for your editor

Each command tells more: banyan up --help`,
  )

program
  .command('up')
  .description('run the node that a configuration describes, until SIGTERM or Ctrl-C')
  .option('-c, --config <file>', 'configuration (default: banyan.yaml or banyan.config.ts in this folder)')
  .option('--no-watch', 'take changes of the file only on SIGHUP and banyan reload')
  .addHelpText(
    'after',
    `
On SIGTERM or Ctrl-C readiness fails first, then requests in flight finish
within drain.grace, then the process ends. A second Ctrl-C ends it at once.

A change of the file comes into force as a whole, without losing a request,
or is refused as a whole, with every mistake in the log.`,
  )
  .action(async (options: { config?: string; watch: boolean }) => (await import('./up.js')).up(options))

program
  .command('check')
  .description('check a configuration and tell every mistake with file:line:column')
  .option('-c, --config <file>', 'configuration (default: banyan.yaml or banyan.config.ts in this folder)')
  .option('--json', 'print JSON')
  .addHelpText('after', '\nEnds with 0 if the configuration can be run, else with 1. Warnings do not count.')
  .action(async (options: { config?: string; json?: true }) => (await import('./check.js')).check(options))

program
  .command('diff')
  .description(
    'show what a configuration would change in the running node, or resources would change in others',
  )
  .option('-c, --config <file>', 'configuration (default: banyan.yaml or banyan.config.ts in this folder)')
  .option('-f, --filename <file...>', 'resources instead: files, folders, or - for standard input')
  .option('-n, --namespace <name>', 'of resources', 'default')
  .option('--manager <name>', 'who would own the fields of resources (default: banyan)')
  .option('-a, --admin <url>', 'admin address of the node', 'http://127.0.0.1:8081')
  .option('--json', 'print JSON')
  .addHelpText(
    'after',
    `
Ends with 0 if nothing would change, with 1 if something would, with 2 if the
configuration is not right or the node cannot be asked. Secrets are hidden.`,
  )
  .action(async (options: DiffOptions & Partial<ResourceDiffOptions>) =>
    options.filename
      ? (await import('./resources/diff.js')).diffResources(options as ResourceDiffOptions)
      : (await import('./diff.js')).diff(options),
  )

program
  .command('reload')
  .description('let the running node read its configuration file again')
  .option('-a, --admin <url>', 'admin address of the node', 'http://127.0.0.1:8081')
  .option('--json', 'print JSON')
  .addHelpText(
    'after',
    '\nEnds with 0 if the configuration is in force, else with 1; then nothing has changed.',
  )
  .action(async (options: { admin: string; json?: true }) => (await import('./reload.js')).reload(options))

program
  .command('status')
  .description('show services, endpoints, breakers and rates of a running node, live on a terminal')
  .option('-a, --admin <url>', 'admin address of the node', 'http://127.0.0.1:8081')
  .option('--once', 'print once and end; the default when the output is not a terminal')
  .option('--json', 'print everything once, as JSON')
  .action(async (options: { admin: string; once?: true; json?: true }) =>
    (await import('./status.js')).status(options),
  )

program
  .command('explain')
  .description('tell why a request was refused or failed, or what may stand in a resource')
  .argument(
    '[what]',
    'request id (X-Request-Id) or trace id, or a kind and a field of it, promotions.spec; without it, the last requests',
  )
  .option('-a, --admin <url>', 'admin address of the node', 'http://127.0.0.1:8081')
  .option('--json', 'print JSON')
  .action(async (what: string | undefined, options: { admin: string; json?: true }) => {
    const kinds = await import('./resources/explain.js')
    if (what !== undefined && (await kinds.isKind(what, options.admin)))
      await kinds.explainKind(what, options)
    else await (await import('./explain.js')).explain(what, options)
  })

program
  .command('breaker')
  .description('override a circuit breaker of a running node, or give it back')
  .addArgument(new Argument('<action>', 'what to do').choices(['open', 'close', 'release']))
  .argument('<name>', 'the service, followed by a space and the URL if each endpoint has a breaker')
  .option('-f, --for <duration>', 'until the breaker takes over again by itself, such as 5m')
  .option('-r, --reason <text>', 'for whoever looks at it later')
  .option('-a, --admin <url>', 'admin address of the node', 'http://127.0.0.1:8081')
  .addHelpText(
    'after',
    `
  open      refuse every call, whatever the outcomes say
  close     let every call through, whatever the outcomes say
  release   take the override back

Example:
  banyan breaker open "payments http://127.0.0.1:4003" --for 10m -r "migration"`,
  )
  .action(
    async (
      action: 'open' | 'close' | 'release',
      name: string,
      options: { for?: string; reason?: string; admin: string },
    ) => (await import('./breaker.js')).breaker(action, name, options),
  )

program
  .command('cache')
  .description('what the caches of a running node keep')
  .command('purge')
  .description('forget kept answers; all of them, or those that are named')
  .option('-r, --route <name>', 'of this route only')
  .option('--host <host>', 'of this host only, as clients ask for it')
  .option('-p, --path <path>', "of this path and query, or beginning so: '/products/*'")
  .option('-a, --admin <url>', 'admin address of the node', 'http://127.0.0.1:8081')
  .action(async (options: { route?: string; host?: string; path?: string; admin: string }) =>
    (await import('./cache.js')).purge(options),
  )

program
  .command('key')
  .description('make keys for an apiKey authenticator')
  .command('create')
  .description('make a key: print it once, and what the configuration holds in its place')
  .requiredOption('-n, --name <name>', 'what the key is called')
  .option('-s, --scopes <list>', 'what it may do, with commas between')
  .option('-e, --expires <time>', 'when it stops to be valid, a date or time of ISO 8601')
  .option('--json', 'print JSON')
  .addHelpText(
    'after',
    `
The key goes to stdout alone, the line for banyan.yaml to stderr. Only its hash
is kept: who loses the key needs a new one.

Example:
  banyan key create -n acme -s orders:read,orders:write -e 2027-01-01`,
  )
  .action(async (options: { name: string; scopes?: string; expires?: string; json?: true }) =>
    (await import('./key.js')).createKey(options),
  )

program
  .command('password')
  .description('hash a password for a basic authenticator; reads it from stdin')
  .argument('<user>', 'whose password it is')
  .addHelpText('after', '\nExample:\n  pass show shop/ada | banyan password ada')
  .action(async (user: string) => (await import('./password.js')).password(user))

program
  .command('schema')
  .description('print the JSON Schema of banyan.yaml, for editors')
  .action(async () => (await import('./schema.js')).schema())

registerEvents(program)
registerStreams(program)
registerTopics(program)
registerSubscriptions(program)
registerProjections(program)
registerSagas(program)
registerOutbox(program)
registerCdc(program)
registerCoordination(program)
registerReplicas(program)
registerResources(program)
tellWhereHelpIs(program, 'banyan')

// Whoever reads may go before the end, as `head` does. Commands that watch for errors themselves tell the others.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE' || process.stdout.listenerCount('error') > 1) return
  tellUnwritten(error)
})

try {
  await program.parseAsync()
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : EXIT.usage
  } else if (error instanceof BanyanError) {
    console.error(paint('red', `${error.message}  [${error.code}]`))
    process.exitCode = error instanceof UsageError ? EXIT.usage : EXIT.problem
  } else if (error instanceof Error && 'syscall' in error && error.syscall === 'write') {
    tellUnwritten(error)
  } else {
    throw error
  }
}

/** Standard output is a file on a disk that is full, say. */
function tellUnwritten(error: Error): void {
  console.error(paint('red', `cannot write what was asked for: ${error.message}`))
  process.exitCode = EXIT.problem
}

/** Whoever gets a command wrong is led to the help of that command. */
function tellWhereHelpIs(command: Command, name: string): void {
  command.showHelpAfterError(`(${name} --help tells more)`)
  for (const each of command.commands) tellWhereHelpIs(each, `${name} ${each.name()}`)
}
