import type { Command } from 'commander'
import { onLogOrNode } from '../events/commands/common.js'
import type { PlaceOptions } from '../events/place.js'
import type { AskerFlags } from './input.js'
import type { ListFlags } from './list.js'
import type { TraceFlags } from './trace.js'

type Options = PlaceOptions & { json?: true }

const ID = ['<id>', 'of the saga, with its name: fulfilment/17'] as const
const JSON_OPTION = ['--json', 'print JSON'] as const
const YES = ['-y, --yes', 'do not ask'] as const
const REASON = ['-r, --reason <text>', 'why, for whoever looks at it later'] as const
const ACTOR = ['--actor <name>', 'who asks (default: your user name)'] as const

/** `banyan sagas`: where they are, and what to do with one that does not go on. */
export function registerSagas(program: Command): void {
  const sagas = program
    .command('sagas')
    .description('see where sagas are; start, signal, cancel; retry or skip parked ones')
    .helpCommand(false)
    .addHelpText(
      'after',
      `
All of it stands in the log: it works whether a process runs the sagas or not, and one
that does follows at once.

Which log: as with banyan events, see banyan events --help.

Examples:
  banyan sagas                                    the last that were started
  banyan sagas list --status parked               those that wait for you
  banyan sagas show fulfilment/17                 what it has done, and what to do about it
  banyan sagas trace request-1                    from event to event, and what reacted to them
  banyan sagas retry fulfilment/17                try again what it is parked for
  banyan sagas skip fulfilment/17 --result '{}'   go on: somebody has done it by hand
  banyan sagas cancel fulfilment/17 -r 'fraud'    undo it
  banyan sagas signal fulfilment/17 paid '{ "amount": 30 }'
  banyan sagas start fulfilment --id 18 --input '{ "order": "18" }'

Exit codes: 0 fine; 1 a problem; 2 wrong usage; 130 stopped by Ctrl-C, 143 by SIGTERM.`,
    )
  registerViews(sagas)
  registerRemedies(sagas)
  registerInputs(sagas)
}

function registerViews(sagas: Command): void {
  const list = sagas
    .command('list', { isDefault: true })
    .description('list sagas, the last that were started first; the default')
    .option('-s, --saga <name>', 'of this name')
    .option('--status <status>', 'running, waiting, compensating, parked, completed or compensated')
    .option('-n, --limit <count>', 'at most so many (default: 50)')
    .option('--before <cursor>', 'go on behind the last one of a list')
  onLogOrNode(list)
    .option(...JSON_OPTION)
    .addHelpText('after', '\nThose that are parked or have ended come in the order in which they did.')
    .action(async (options: ListFlags) => (await import('./list.js')).list(options))

  const show = sagas
    .command('show')
    .description(
      'show everything about one: steps, tries, timers, signals, children; what to do if it is parked',
    )
    .argument(...ID)
  onLogOrNode(show)
    .option(...JSON_OPTION)
    .action(async (id: string, options: Options) => (await import('./show.js')).show(id, options))

  const trace = sagas
    .command('trace')
    .description('show from event to event what one request has led to, and the reactions and sagas between')
    .argument('<correlation-id>', 'of the metadata, or the id of the first event')
    .option('--from <place>', 'only after this: a time (10m, 2026-09-22), a position (default: start)')
    .option('-n, --limit <count>', 'at most so many events and sagas (default: 1000)')
    .option('--scan <count>', 'reads at most so many events of the log (default: 1000000)')
  onLogOrNode(trace)
    .option(...JSON_OPTION)
    .addHelpText(
      'after',
      `
Correlations have no index: it reads the log from --from on.`,
    )
    .action(async (id: string, options: TraceFlags) => (await import('./trace.js')).trace(id, options))
}

function registerRemedies(sagas: Command): void {
  const retry = sagas
    .command('retry')
    .description('have a parked one try again what it was parked for')
    .argument(...ID)
    .option(...REASON)
    .option(...ACTOR)
    .option(...JSON_OPTION)
  onLogOrNode(retry).action(async (id: string, options: Options & AskerFlags) =>
    (await import('./steer.js')).retry(id, options),
  )

  const skip = sagas
    .command('skip')
    .description('have a parked one go on as if what it was parked for had been done; asks first')
    .argument(...ID)
    .option('--result <json>', 'what the step is taken to have returned; @FILE, or - for standard input')
    .option(...REASON)
    .option(...ACTOR)
    .option(...YES)
    .option(...JSON_OPTION)
  onLogOrNode(skip).action(
    async (id: string, options: Options & AskerFlags & { result?: string; yes?: true }) =>
      (await import('./steer.js')).skip(id, options),
  )

  const cancel = sagas
    .command('cancel')
    .description('undo what one has done, and end it; asks first')
    .argument(...ID)
    .option(...REASON)
    .option(...ACTOR)
    .option(...YES)
    .option(...JSON_OPTION)
  onLogOrNode(cancel).action(async (id: string, options: Options & AskerFlags & { yes?: true }) =>
    (await import('./steer.js')).cancel(id, options),
  )
}

function registerInputs(sagas: Command): void {
  const signal = sagas
    .command('signal')
    .description('give one a signal; it may wait for that already, or later')
    .argument(...ID)
    .argument('<name>', 'which signal')
    .argument('[payload]', 'JSON; @FILE, or - for standard input')
    .option('--signal-id <id>', 'the same again does nothing')
    .option(...ACTOR)
    .option(...JSON_OPTION)
  onLogOrNode(signal).action(
    async (
      id: string,
      name: string,
      payload: string | undefined,
      options: Options & { actor?: string; signalId?: string },
    ) => (await import('./steer.js')).signal(id, name, payload, options),
  )

  const start = sagas
    .command('start')
    .description('start one, in the highest version that processes run')
    .argument('<name>', 'of the saga: fulfilment')
    .option('-i, --input <json>', 'its input; @FILE, or - for standard input')
    .option('--id <id>', 'what tells it from others; the same again starts nothing (default: a new one)')
    .option(...ACTOR)
    .option(...JSON_OPTION)
  onLogOrNode(start)
    .addHelpText(
      'after',
      `
A node that runs these sagas (-a) checks the input; on a log by itself nobody knows what
it must be like.`,
    )
    .action(async (name: string, options: Options & { input?: string; id?: string; actor?: string }) =>
      (await import('./steer.js')).start(name, options),
    )
}
