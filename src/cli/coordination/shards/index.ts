import type { Command } from 'commander'
import { ACTOR, group, listing, nearCommand, placed } from '../commands.js'
import type { LookOptions } from '../look.js'
import type { PlaceOptions } from '../place.js'
import type { KindOptions } from './kind.js'
import type { MoveOptions } from './move.js'
import type { WhatIf } from './plan.js'
import type { SteerOptions } from './steer.js'

/** `banyan shards`: who has which buckets, what would move, and what operators do about it. */
export function registerShards(program: Command): void {
  const shards = group(
    program,
    'shards',
    'see which workers, or databases, have which buckets, and how hot they are; plan, move, split, pause, drain',
    `
Examples:
  banyan shards                              all shard maps, and applications in several databases
  banyan shards orders                       its workers, what moves, what nobody has, what was
  banyan shards plan orders --without web-2  what would move if web-2 were gone
  banyan shards move orders 17 --to web-3    this bucket to this worker
  banyan shards heat orders                  what is too hot, and what helps
  banyan shards drain orders web-2           before web-2 is stopped
  banyan shards move orders --even           between databases, so that each has its part
  banyan shards moves orders --watch         how far that is
  banyan shards history orders               what has moved`,
  )
  ofKind(
    listing(shards, 'list shards, or show those of one name; the default')
      .alias('show')
      .option('--buckets', 'of a shard map of workers: every bucket, with its epoch'),
  ).action(async (name: string | undefined, options: LookOptions & KindOptions & { buckets?: true }) =>
    (await import('./list.js')).show(name, options, (word) => nearCommand(shards, word)),
  )
  ofKind(
    placed(
      named(shards, 'plan', 'what would move, and why; nothing of it is done')
        .option('--with <id=weight...>', 'if these workers, or databases, came; weight 1 if none is said')
        .option('--without <id...>', 'if these were gone'),
    ),
  ).action(async (name: string, options: PlaceOptions & KindOptions & WhatIf & { json?: true }) =>
    (await import('./plan.js')).plan(name, options),
  )
  ofKind(
    placed(
      named(shards, 'heat', 'where the load is, what is too hot, and what helps').option(
        '--from <place...>',
        'as meters have measured it: URLs or files with what snapshot() of a heatMeter gives (default: as workers say)',
      ),
    ),
  ).action(
    async (name: string, options: PlaceOptions & KindOptions & { json?: true; from?: readonly string[] }) =>
      (await import('./heat.js')).heat(name, options),
  )
  ofKind(placed(named(shards, 'history', 'what has happened: the last 100 moves, or changes'))).action(
    async (name: string, options: PlaceOptions & KindOptions & { json?: true }) =>
      (await import('./history.js')).history(name, options),
  )
  registerBuckets(shards)
  registerPauses(shards)
  registerMoves(shards)
  registerUpkeep(shards)
}

/** What is done to buckets. */
function registerBuckets(shards: Command): void {
  ofKind(
    steering(
      named(shards, 'move', 'move a bucket to a worker, until it is unpinned; or buckets to a database')
        .argument('[buckets]', '17; 17/0 if it was split; of databases 3-9,12, too')
        .option('--to <id>', 'who shall have it')
        .option('--replace', 'of workers: in the place of a move of it that is under way')
        .option('--even', 'of databases: all that plan says, instead of buckets')
        .option('--without <database...>', 'with --even: so that these have nothing')
        .option('--group <count>', 'of databases: how many buckets move together (default: 8)'),
    ),
  )
    .addHelpText(
      'after',
      `
Moves between databases are made by a node that has them in its configuration, under \`shards\`;
what they leave behind at the source stays until \`drop\`.`,
    )
    .action(async (name: string, buckets: string | undefined, options: MoveOptions) =>
      (await import('./move.js')).move(name, buckets, options),
    )
  for (const [what, text] of [
    ['unpin', 'let a bucket that was moved go where the plan wants it'],
    ['split', 'make two buckets of one that is hot by many keys: 17/0 and 17/1 of 17'],
    ['merge', 'make one of two again'],
  ] as const)
    steering(named(shards, what, text).argument('<bucket>', 'which one')).action(
      async (name: string, bucket: string, options: SteerOptions) =>
        (await import('./steer.js')).steer(name, { do: what, bucket }, options),
    )
}

/** What is done to all of it, or to moves between databases. */
function registerPauses(shards: Command): void {
  for (const [what, text] of [
    ['pause', 'let nothing move that somebody has; of databases: leave moves as they are'],
    ['resume', 'go on after a pause'],
  ] as const)
    ofKind(
      steering(
        named(shards, what, text)
          .argument('[moves...]', 'of databases: which, as shards moves shows them')
          .option('--all', 'of databases: all moves'),
      ),
    ).action(async (name: string, moves: string[], options: SteerOptions & KindOptions & { all?: true }) =>
      (await import('./move.js')).pauseOrResume(name, what, moves, options),
    )
  steering(
    named(shards, 'drain', 'have a worker give away all it has, before it is stopped')
      .argument('<worker>', 'as shards NAME shows it')
      .option('--undo', 'give it its part again'),
  ).action(async (name: string, worker: string, { undo, ...options }: SteerOptions & { undo?: true }) =>
    (await import('./steer.js')).steer(name, { do: 'drain', worker, ...(undo && { undo }) }, options),
  )
}

/** Moves between databases. */
function registerMoves(shards: Command): void {
  placed(
    named(shards, 'moves', 'how far moves between databases are').option(
      '-w, --watch',
      'go on until Ctrl-C, live; with --json a line each time something has changed',
    ),
  ).action(async (name: string, options: LookOptions) => (await import('./moves.js')).moves(name, options))
  for (const [what, text] of [
    ['abort', 'call moves off that are not switched: nothing has moved then'],
    ['reverse', 'take switched moves back, with what has changed since'],
    [
      'drop',
      'remove what switched moves have left at their source: from then on there is no way back; asks first',
    ],
  ] as const) {
    const command = placed(
      named(shards, what, text)
        .argument('[moves...]', 'which, as shards moves shows them')
        .option('--all', 'all with which that can be done'),
    )
    if (what === 'drop') command.option('-y, --yes', 'do not ask')
    command.action(
      async (
        name: string,
        moves: string[],
        options: PlaceOptions & { json?: true; all?: true; yes?: true },
      ) => (await import('./move.js')).steerMoves(name, what, moves, options),
    )
  }
  shards
    .command('prepare')
    .description('make what sharding needs in the databases of a configuration, and tell them what they own')
    .argument('<name>', 'of the entry under `shards`')
    .option('-c, --config <file>', 'configuration (default: the banyan.yaml in this folder)')
    .option('--sql', 'only print the SQL that would make it, for those who change their tables themselves')
    .option('--json', 'print JSON')
    .action(async (name: string, options: { config?: string; json?: true; sql?: true }) =>
      (await import('./prepare.js')).prepare(name, options),
    )
  registerLeaving(shards)
}

/** What an application, or a database of it, does no more. */
function registerLeaving(shards: Command): void {
  placed(
    named(shards, 'remove', 'take a database without buckets out of an application').argument(
      '<database>',
      'as shards NAME shows it',
    ),
  ).action(async (name: string, database: string, options: PlaceOptions & { json?: true }) =>
    (await import('./leave.js')).remove(name, database, options),
  )
  shards
    .command('unprepare')
    .description(
      'take sharding off the databases of a configuration, and forget who has which buckets; rows stay; asks first',
    )
    .argument('<name>', 'of the entry under `shards`')
    .argument('[databases...]', 'only those, which were removed before (default: all)')
    .option('-c, --config <file>', 'configuration (default: the banyan.yaml in this folder)')
    .option(
      '--force',
      'also if rows lie in several databases, moves are not finished, or the coordinator does not know them',
    )
    .option('-y, --yes', 'do not ask')
    .option('--json', 'print JSON')
    .action(
      async (
        name: string,
        databases: string[],
        options: { config?: string; force?: true; yes?: true; json?: true },
      ) => (await import('./leave.js')).unprepare(name, databases, options),
    )
}

/** What there is, against what there should be; and what is not to be there any more. */
function registerUpkeep(shards: Command): void {
  shards
    .command('verify')
    .description('compare what the databases of a configuration hold with who should have it')
    .argument('<name>', 'of the entry under `shards`')
    .option('-c, --config <file>', 'configuration (default: the banyan.yaml in this folder)')
    .option('--keys', 'the key of every row, too: reads all of them')
    .option('--json', 'print JSON')
    .action(async (name: string, options: { config?: string; json?: true; keys?: true }) =>
      (await import('./verify.js')).verify(name, options),
    )
  placed(named(shards, 'forget', 'remove a shard map that no worker takes part in; asks first'))
    .option('-y, --yes', 'do not ask')
    .action(async (name: string, options: PlaceOptions & { json?: true; yes?: true }) =>
      (await import('./forget.js')).forget(name, options),
    )
}

function named(shards: Command, name: string, description: string): Command {
  return shards.command(name).description(description).argument('<name>', 'of the shards')
}

function steering(command: Command): Command {
  return placed(command).option(...ACTOR)
}

function ofKind(command: Command): Command {
  return command
    .option('--workers', 'the shard map of workers, if both have that name')
    .option('--databases', 'the application in several databases')
}
