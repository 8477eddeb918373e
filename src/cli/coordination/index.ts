import type { Command } from 'commander'
import { ACTOR, group, listing, placed } from './commands.js'
import type { LookOptions } from './look.js'
import type { PlaceOptions } from './place.js'
import { registerShards } from './shards/index.js'

type Options = PlaceOptions & { json?: true; actor?: string }

/** `banyan leaders`, `locks`, `semaphores`, `jobs`, `registry` and `shards`: what is on a coordinator, and what operators do about it. */
export function registerCoordination(program: Command): void {
  registerLeaders(program)
  registerLocks(program)
  registerJobs(program)
  registerRegistry(program)
  registerShards(program)
}

function registerLeaders(program: Command): void {
  const leaders = group(
    program,
    'leaders',
    'see who leads and who comes next; ask a leader to hand over',
    `
Examples:
  banyan leaders                                  who leads what, since when
  banyan leaders billing                          its candidates, and who has led before
  banyan leaders --watch                          live
  banyan leaders hand-over billing                let the next one lead
  banyan leaders hand-over billing --to web-2:88  let this one lead`,
  )
  listing(leaders, 'list elections, or show one; the default').action(
    async (name: string | undefined, options: LookOptions) =>
      (await import('./look.js')).look((await import('./leaders.js')).leaders, name, options),
  )
  placed(
    leaders
      .command('hand-over')
      .description('ask who leads to end its work and let another lead')
      .argument('<name>', 'of the election')
      .option('--to <holder>', 'who shall lead, as leaders NAME shows it (default: who is next)')
      .option(...ACTOR),
  ).action(async (name: string, options: Options & { to?: string }) =>
    (await import('./steer.js')).handOver(name, options),
  )
}

function registerLocks(program: Command): void {
  const locks = group(
    program,
    'locks',
    'see who holds locks and who waits; take one away',
    `
Examples:
  banyan locks                  every lock that is held
  banyan locks stock            who holds it, and who comes next
  banyan locks release stock    take it away from who holds it; asks first`,
  )
  listing(locks, 'list locks, or show one; the default').action(
    async (name: string | undefined, options: LookOptions) =>
      (await import('./look.js')).look((await import('./locks.js')).locks, name, options),
  )
  placed(
    locks
      .command('release')
      .description('take a lock away from who holds it, even if its work goes on; asks first')
      .argument('<name>', 'of the lock')
      .option('--token <token>', 'only from the holder with this token (default: all who hold it)')
      .option('-y, --yes', 'do not ask'),
  )
    .addHelpText(
      'after',
      `
Only a fencing token keeps the two apart then. A holder that is gone needs no force: its
lease ends by itself.`,
    )
    .action(async (name: string, options: Options & { token?: string; yes?: true }) =>
      (await import('./steer.js')).release(name, options),
    )

  const semaphores = group(program, 'semaphores', 'see who holds permits of semaphores and who waits', '')
  listing(semaphores, 'list semaphores, or show one; the default').action(
    async (name: string | undefined, options: LookOptions) =>
      (await import('./look.js')).look((await import('./locks.js')).semaphores, name, options),
  )
}

function registerJobs(program: Command): void {
  const jobs = group(
    program,
    'jobs',
    'see when jobs run and what came of it; run, pause, resume',
    `
Examples:
  banyan jobs                   when each is due, and how its last run went
  banyan jobs report            its last runs, with their errors
  banyan jobs run report        now
  banyan jobs pause report      not until it is resumed`,
  )
  listing(jobs, 'list jobs, or show one; the default').action(
    async (name: string | undefined, options: LookOptions) =>
      (await import('./look.js')).look((await import('./jobs.js')).jobs, name, options),
  )
  for (const [action, text] of [
    ['run', 'run one now, also if it is paused; once more if it runs already'],
    ['pause', 'start no run of one any more; one that is under way goes on'],
    ['resume', 'go on with the next time after a pause'],
  ] as const)
    placed(
      jobs
        .command(action)
        .description(text)
        .argument('<name>', 'of the job')
        .option(...ACTOR),
    ).action(async (name: string, options: Options) =>
      (await import('./steer.js')).changeJob(name, action, options),
    )
}

function registerRegistry(program: Command): void {
  const registry = group(
    program,
    'registry',
    'see which instances of services are registered and how they are; drain one',
    `
Examples:
  banyan registry               every instance
  banyan registry orders        those of one service, and what has happened to them
  banyan registry --watch       live
  banyan registry drain orders o1 --for 30s
                                let one leave in good order`,
  )
  listing(registry, 'list services, or show one; the default').action(
    async (name: string | undefined, options: LookOptions) =>
      (await import('./look.js')).look((await import('./registry.js')).registry, name, options),
  )
  placed(
    registry
      .command('drain')
      .description('ask an instance to take nothing new, and to leave after a while')
      .argument('<service>', 'of which service')
      .argument('<id>', 'of the instance, as registry SERVICE shows it')
      .option('--for <duration>', 'how long it stays, marked as draining (default: as it was registered)')
      .option(...ACTOR),
  )
    .addHelpText('after', '\nIts process goes on, and does not register it again.')
    .action(async (service: string, id: string, options: Options & { for?: string }) =>
      (await import('./steer.js')).drain(service, id, options),
    )
}
