import type { Position, Selector } from '../../events/log.js'
import { START } from '../../events/position.js'
import { categoryOf } from '../../events/names.js'
import type { FollowerRun, SeenBatch, SeenEvent } from './history.js'
import type { Tried } from './check-attempts.js'
import { describe, type LogIndex } from './log-index.js'
import type { Findings } from './verdict.js'

interface Context {
  readonly index: LogIndex
  readonly commits: Map<string, Tried>
  readonly truncated: Position
  readonly findings: Findings
}

/**
 * Whether every run of every follower was given exactly what is in the final log, in its order: with that, all followers
 * agree with each other too.
 *
 * @returns how many events they were given
 */
export function checkFollows(
  follows: readonly FollowerRun[],
  context: Context,
  options: { caughtUp: boolean },
): number {
  const reached = new Map<string, { position: Position; selector: Selector }>()
  let given = 0
  for (const run of follows) {
    const before = reached.get(run.follower)?.position
    if (before !== undefined && run.from > before)
      reportUnseen(
        run,
        before,
        run.from,
        `went on from ${run.from}, but had seen only up to ${before}`,
        context,
      )
    const { position, events } = checkRun(run, context)
    given += events
    if (before === undefined || position > before)
      reached.set(run.follower, { position, selector: run.selector })
  }
  if (options.caughtUp)
    for (const [follower, { position, selector }] of reached) {
      const end = context.index.events.at(-1)?.position ?? START
      reportUnseen({ follower, selector }, position, end, `ended at ${position}`, context)
    }
  return given
}

function reportUnseen(
  { follower, selector }: Pick<FollowerRun, 'follower' | 'selector'>,
  after: Position,
  upTo: Position,
  why: string,
  { index, truncated, findings }: Context,
): void {
  for (let place = index.behind(after); place < index.events.length; place++) {
    const event = index.events[place]!
    if (event.position > upTo) return
    if (event.position <= truncated || !selects(selector, event)) continue
    const { commit, position } = event
    findings.add('lost', `follower ${follower} ${why}: it never saw ${describe(event)}`, {
      commit,
      position,
      follower,
    })
  }
}

/** One run against the log, both from the same place on. */
function checkRun(run: FollowerRun, context: Context): { position: Position; events: number } {
  const { follower, selector } = run
  const { index, truncated, findings } = context
  const log = index.events
  /** Passed over so far; what comes late after all is reordered, not lost. */
  const skipped = new Map<Position, SeenEvent>()
  let place = index.behind(run.from)
  let position = run.from
  let count = 0

  const passUpTo = (limit: Position, including: boolean, batch: SeenBatch): void => {
    for (; place < log.length; place++) {
      const event = log[place]!
      if (including ? event.position > limit : event.position >= limit) return
      if (!batch.truncated && event.position > truncated && selects(selector, event))
        skipped.set(event.position, event)
    }
  }

  for (const batch of run.batches) {
    for (const event of batch.events) {
      count++
      const about = { commit: event.commit, position: event.position, follower }
      if (event.position <= position) {
        if (skipped.delete(event.position))
          findings.add(
            'reordered',
            `follower ${follower} was given ${describe(event)} when it was at ${position} already`,
            about,
          )
        else if (event.position > run.from)
          findings.add('duplicated', `follower ${follower} was given ${describe(event)} twice`, about)
        else
          findings.add(
            'reordered',
            `follower ${follower} asked for what is behind ${run.from}, and was given ${describe(event)}`,
            about,
          )
        continue
      }
      passUpTo(event.position, false, batch)
      position = event.position
      const logged = log[place]
      if (logged?.position !== event.position) reportVanished(follower, event, context)
      else {
        place++
        compareSeen(run, event, logged, findings)
      }
    }
    passUpTo(batch.position, true, batch)
    if (batch.position > position) position = batch.position
    if (batch.caughtUp) checkTorn(run, batch, context)
  }

  for (const event of skipped.values())
    findings.add(
      'lost',
      `follower ${follower} was at ${position} and had not been given ${describe(event)}`,
      {
        commit: event.commit,
        position: event.position,
        follower,
      },
    )
  return { position, events: count }
}

function compareSeen(run: FollowerRun, seen: SeenEvent, logged: SeenEvent, findings: Findings): void {
  const { follower, selector } = run
  const about = { commit: seen.commit, position: seen.position, follower }
  if (seen.commit !== logged.commit || seen.id !== logged.id)
    findings.add(
      'reordered',
      `follower ${follower} was given ${describe(seen)}, where the log has ${describe(logged)}`,
      about,
    )
  else if (seen.stream !== logged.stream || seen.revision !== logged.revision)
    findings.add(
      'reordered',
      `follower ${follower} was given ${describe(logged)} as ${describe(seen)}`,
      about,
    )
  else if (seen.digest !== logged.digest)
    findings.add(
      'invented',
      `follower ${follower} was given ${describe(seen)} with other contents than the log has`,
      about,
    )
  else if (!selects(selector, seen))
    findings.add(
      'invented',
      `follower ${follower} was given ${describe(seen)}, which it had not asked for`,
      about,
    )
}

/** It was seen, and it is not in the log where it was seen. */
function reportVanished(
  follower: string,
  seen: SeenEvent,
  { index, commits, truncated, findings }: Context,
): void {
  if (seen.position <= truncated) return
  const about = { commit: seen.commit, position: seen.position, follower }
  const moved = index.find(seen)
  if (moved)
    findings.add(
      'reordered',
      `follower ${follower} was given ${describe(seen)}, now at ${moved.position}`,
      about,
    )
  else if (commits.get(seen.commit)?.possible)
    findings.add('lost', `follower ${follower} was given ${describe(seen)}, which is not in the log`, about)
  else
    findings.add(
      'invented',
      `follower ${follower} was given ${describe(seen)}, which was never attempted, or refused`,
      about,
    )
}

/** Who has read to the end and has one event of a commit has all of them. */
function checkTorn(run: FollowerRun, batch: SeenBatch, { index, findings }: Context): void {
  for (const seen of batch.events) {
    const places = index.commits.get(seen.commit)
    if (!places || index.events[places.at(-1)!]!.position <= batch.position) continue
    const missing = places
      .map((place) => index.events[place]!)
      .find((event) => event.position > batch.position && selects(run.selector, event))
    if (!missing) continue
    findings.add(
      'torn',
      `follower ${run.follower} was at the end of the log at ${batch.position} with ${describe(seen)}, but without ${describe(missing)}`,
      { commit: seen.commit, position: seen.position, follower: run.follower },
    )
  }
}

function selects({ stream, category, tags, types }: Selector, event: SeenEvent): boolean {
  if (stream !== undefined && event.stream !== stream) return false
  if (category !== undefined && categoryOf(event.stream) !== category) return false
  if (types && !types.includes(event.type)) return false
  return !tags || tags.every((tag) => event.tags.includes(tag))
}
