import type { Command } from 'commander'
import { MOMENT_HELP, onLogOrNode, several, showing } from '../events/commands/common.js'
import type { PlaceOptions } from '../events/place.js'
import type { TailOptions } from '../events/tail.js'
import type { PublishOptions } from './publish.js'

/** `banyan topics`: what can be followed, and publishing to it. */
export function registerTopics(program: Command): void {
  const topics = program
    .command('topics')
    .description('list topics, publish to them, watch them')
    .helpCommand(false)
    .addHelpText(
      'after',
      `
A topic is a category of the log: what stands before the first \`-\` in the names of its
streams. Messages with a key are in the stream TOPIC-KEY, those without in the stream TOPIC.

Which log: as with banyan events, see banyan events --help.

Examples:
  banyan topics                                      what there is, and who follows it
  banyan topics publish order OrderPaid '{"total":30}' --key 17
  banyan topics tail order

Exit codes: as of banyan events.`,
    )

  const list = topics.command('list', { isDefault: true }).description('list topics; the default')
  onLogOrNode(list)
    .option('--json', 'print JSON')
    .action(async (options: PlaceOptions & { json?: true }) => (await import('./list.js')).list(options))

  const publish = topics
    .command('publish')
    .description('publish one message; the log is made if it is not there')
    .argument('<topic>', 'to which')
    .argument('<type>', 'what happened, as OrderPaid')
    .argument('[data]', 'JSON, `@FILE`, or `-` for standard input (default: no data)')
    .option('-k, --key <key>', 'messages of one key are handled in their order (default: no key, no order)')
    .option('--id <id>', 'the same again publishes nothing and tells the first result (default: a new UUID)')
    .option('-m, --metadata <name=text>', 'actor=ada, or attempt:=3 for JSON; several times', several)
    .option('-t, --tag <tag>', 'to select it by; several times', several)
    .option('--time <time>', 'when it happened, in ISO 8601 or as 10m for ten minutes ago (default: now)')
    .option('--schema-version <number>', 'which form of its type the data has (default: 1)')
    .option('--binary', 'data is bytes, not JSON; from `@FILE` or `-`')
    .option('--json', 'print JSON')
  onLogOrNode(publish).action(
    async (topic: string, type: string, data: string | undefined, options: PublishOptions) =>
      (await import('./publish.js')).publish(topic, type, data, options),
  )

  const tail = topics
    .command('tail')
    .description('show the last messages, then those that come, until Ctrl-C')
    .argument('<topic>', 'of which')
    .option('-t, --tag <tag>', 'with this tag; given several times, with all of them', several)
    .option('--type <type>', 'of this type; given several times, of one of them', several)
    .option('-n, --lines <count>', 'begin with so many messages that are there (default: 20)')
    .option('--from <position>', 'begin after this position instead')
  onLogOrNode(showing(tail))
    .addHelpText('after', MOMENT_HELP)
    .action(async (topic: string, options: TailOptions) =>
      (await import('../events/tail.js')).tail({ ...options, category: topic }),
    )
}
