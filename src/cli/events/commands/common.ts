import type { Command } from 'commander'

/** How a place in the log is given, for help texts. */
export const MOMENT_HELP = `
A position is one as it is printed, with or without its leading zeros; \`start\`; \`end\`;
how long ago, as 10m or 2h (units ms, s, m, h, d); or a date or time of
ISO 8601, as 2026-09-22 or 2026-09-22T14:30, local unless it says otherwise.`

/** A command that opens a log. */
export function onLog(command: Command): Command {
  return command
    .option('--log <url>', 'the log: sqlite:./data or postgres://host/database')
    .option('-c, --config <file>', 'configuration whose `events` it is')
}

/** A command that a running node can carry out too. */
export function onLogOrNode(command: Command): Command {
  return onLog(command).option('-a, --admin <url>', 'the log of the node with this admin address')
}

/** Options that select events. */
export function selecting(command: Command): Command {
  return command
    .option('-s, --stream <name>', 'of this stream')
    .option(
      '--category <name>',
      'of the streams of this category, which is what stands before their first `-`',
    )
    .option('-t, --tag <tag>', 'with this tag; given several times, with all of them', several)
    .option('--type <type>', 'of this type; given several times, of one of them', several)
}

/** Options that say how events are shown. */
export function showing(command: Command): Command {
  return command
    .option('-l, --long', 'everything of each event, on several lines')
    .option('--json', 'a CloudEvent on each line')
}

/** An option that may be given several times. */
export function several(value: string, before: string[] = []): string[] {
  return [...before, value]
}
