import type { Command } from 'commander'
import { MOMENT_HELP, onLogOrNode } from '../events/commands/common.js'
import type { PlaceOptions } from '../events/place.js'
import type { DeadLettersOptions } from './dead-letters.js'

type Options = PlaceOptions & { json?: true }

const NAME = ['<name>', 'of the subscription'] as const
const JSON_OPTION = ['--json', 'print JSON'] as const
const YES = ['--yes', 'do not ask'] as const

/** `banyan subscriptions`: how far they are, and what to do if one does not go on. */
export function registerSubscriptions(program: Command): void {
  const subscriptions = program
    .command('subscriptions')
    .description('see how far subscriptions are; redrive, skip, seek, pause, delete')
    .helpCommand(false)
    .addHelpText(
      'after',
      `
All of it stands in the log: it works whether a process runs the subscription or not,
and one that does follows at once.

Which log: as with banyan events, see banyan events --help.

Examples:
  banyan subscriptions                               what waits, what is parked
  banyan subscriptions billing                       which keys do not go on, and why
  banyan subscriptions dead-letters billing          the messages themselves
  banyan subscriptions redrive billing order-17      try again, then what it held back
  banyan subscriptions skip billing order-17         go on without it
  banyan subscriptions seek billing 2h               handle the last two hours again

Exit codes: 0 fine; 1 a problem; 2 wrong usage; 130 stopped by Ctrl-C, 143 by SIGTERM.`,
    )
  registerViews(subscriptions)
  registerChanges(subscriptions)
}

function registerViews(subscriptions: Command): void {
  const list = subscriptions
    .command('list', { isDefault: true })
    .description('list subscriptions, or show one; the default')
    .argument('[name]', 'only this one, as show does')
  onLogOrNode(list)
    .option(...JSON_OPTION)
    .action(async (name: string | undefined, options: Options) =>
      name === undefined
        ? (await import('./list.js')).list(options)
        : (await import('./show.js')).show(name, options),
    )

  const show = subscriptions
    .command('show')
    .description('show how far one is, and the keys that do not go on')
    .argument(...NAME)
  onLogOrNode(show)
    .option(...JSON_OPTION)
    .action(async (name: string, options: Options) => (await import('./show.js')).show(name, options))

  const letters = subscriptions
    .command('dead-letters')
    .description('show the messages that were given up, and why')
    .argument(...NAME)
    .option('-n, --limit <count>', 'at most so many (default: all)')
    .option('-l, --long', 'everything of each message, on several lines')
    .option('--json', 'a JSON object on each line, with the message as a CloudEvent')
  onLogOrNode(letters).action(async (name: string, options: DeadLettersOptions) =>
    (await import('./dead-letters.js')).deadLetters(name, options),
  )
}

function registerChanges(subscriptions: Command): void {
  const redrive = subscriptions
    .command('redrive')
    .description('try messages again that were given up, then what they held back')
    .argument(...NAME)
    .argument('[key...]', 'whose, as show tells them; @POSITION for a message without a key')
    .option('--all', 'every parked key')
    .option(...JSON_OPTION)
  onLogOrNode(redrive)
    .addHelpText('after', '\nEnds with 1 if one of the keys is not parked; the others go on.')
    .action(async (name: string, keys: string[], options: Options & { all?: true }) =>
      (await import('./changes.js')).redrive(name, keys, options),
    )

  const skip = subscriptions
    .command('skip')
    .description('go on without the message of a key that was given up; asks first')
    .argument(...NAME)
    .argument('<key>', 'whose, as show tells it; @POSITION for a message without a key')
    .option('--position <position>', 'only if it is the message at this position')
    .option(...YES)
    .option(...JSON_OPTION)
  onLogOrNode(skip).action(
    async (name: string, key: string, options: Options & { position?: string; yes?: true }) =>
      (await import('./changes.js')).skip(name, key, options),
  )

  const seek = subscriptions
    .command('seek')
    .description('move one to another place of the log; asks first')
    .argument(...NAME)
    .argument('<place>', 'a position, a time, start or end')
    .option(...YES)
    .option(...JSON_OPTION)
  onLogOrNode(seek)
    .addHelpText(
      'after',
      `
What comes after that place is handled, also what was handled before. Dead letters from
before it stay.
${MOMENT_HELP}`,
    )
    .action(async (name: string, to: string, options: Options & { yes?: true }) =>
      (await import('./changes.js')).seek(name, to, options),
    )

  for (const [command, isPaused, text] of [
    ['pause', true, 'begin no deliveries any more, in any process'],
    ['resume', false, 'go on after a pause'],
  ] as const) {
    const change = subscriptions
      .command(command)
      .description(text)
      .argument(...NAME)
      .option(...JSON_OPTION)
    onLogOrNode(change).action(async (name: string, options: Options) =>
      (await import('./changes.js')).setPaused(name, isPaused, options),
    )
  }

  const remove = subscriptions
    .command('delete')
    .description('delete one: how far it is, its dead letters; asks first')
    .argument(...NAME)
    .option('--force', 'also if processes take part that are not known to have ended')
    .option(...YES)
    .option(...JSON_OPTION)
  onLogOrNode(remove).action(async (name: string, options: Options & { force?: true; yes?: true }) =>
    (await import('./changes.js')).remove(name, options),
  )
}
