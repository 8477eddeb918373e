import type { Command } from 'commander'
import { ACTOR, group, listing, placed } from '../commands.js'
import type { LookOptions } from '../look.js'
import type { PlaceOptions } from '../place.js'
import type { KindOptions } from './kind.js'
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
  banyan shards drain orders web-2           before web-2 is stopped`,
  )
  ofKind(
    listing(shards, 'list shards, or show those of one name; the default')
      .alias('show')
      .option('--buckets', 'of a shard map of workers: every bucket, with its epoch'),
  ).action(async (name: string | undefined, options: LookOptions & KindOptions & { buckets?: true }) =>
    (await import('./list.js')).show(name, options),
  )
  placed(
    named(shards, 'plan', 'what would move, and why; nothing of it is done')
      .option('--with <worker=weight...>', 'if these workers came; weight 1 if none is said')
      .option('--without <worker...>', 'if these workers were gone'),
  ).action(async (name: string, options: PlaceOptions & WhatIf & { json?: true }) =>
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
  registerBuckets(shards)
  registerMaps(shards)
}

/** What is done to a bucket. */
function registerBuckets(shards: Command): void {
  steering(
    named(shards, 'move', 'move a bucket to a worker, and keep it there until it is unpinned')
      .argument('<bucket>', '17, or 17/0 if it was split')
      .requiredOption('--to <worker>', 'who shall have it')
      .option('--replace', 'in the place of a move of it that is under way'),
  ).action(
    async (
      name: string,
      bucket: string,
      { to, replace, ...options }: SteerOptions & { to: string; replace?: true },
    ) =>
      (await import('./steer.js')).steer(
        name,
        { do: 'move', bucket, to, ...(replace && { replace }) },
        options,
      ),
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

/** What is done to all of it. */
function registerMaps(shards: Command): void {
  for (const [what, text] of [
    ['pause', 'let nothing move that somebody has'],
    ['resume', 'go on after a pause'],
  ] as const)
    steering(named(shards, what, text)).action(async (name: string, options: SteerOptions) =>
      (await import('./steer.js')).steer(name, { do: what }, options),
    )
  steering(
    named(shards, 'drain', 'have a worker give away all it has, before it is stopped')
      .argument('<worker>', 'as shards NAME shows it')
      .option('--undo', 'give it its part again'),
  ).action(async (name: string, worker: string, { undo, ...options }: SteerOptions & { undo?: true }) =>
    (await import('./steer.js')).steer(name, { do: 'drain', worker, ...(undo && { undo }) }, options),
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
