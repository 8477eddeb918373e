import { randomUUID } from 'node:crypto'
import type { Clock } from '../../core/clock.js'
import type { EncodedCommit, Outcome } from '../../events/driver.js'
import { eventError } from '../../events/errors.js'
import { BlockedCommits } from './blocked.js'
import type { Connections } from './connections.js'
import { errorOf, faultOf, isUnfit } from './faults.js'
import { attemptOf, outcomesOf, PARAMETERS, parametersOf, type Sent } from './group.js'
import type { Settings } from './settings.js'

/** Appends groups of commits, and finds out what came of each, whatever happens to the connection. */
export class Appender {
  readonly #connections: Connections
  readonly #statement: string
  readonly #retryFor: number
  readonly #blocked: BlockedCommits

  constructor(connections: Connections, settings: Settings, clock: Clock) {
    this.#connections = connections
    const parameters = Array.from({ length: PARAMETERS }, (_, index) => `$${index + 1}`)
    this.#statement = `SELECT "${settings.schema}".append(${parameters.join(', ')})`
    this.#retryFor = settings.retryFor
    this.#blocked = new BlockedCommits(
      (commits, patience) => this.#send(commits, patience),
      settings.lockTimeout,
      clock,
    )
  }

  /** See `LogDriver.append`. What waits for a stream that is locked does not keep the others waiting. */
  async append(group: readonly EncodedCommit[]): Promise<(Outcome | Promise<Outcome>)[]> {
    const outcomes = new Map<EncodedCommit, Outcome | Promise<Outcome>>()
    const free: EncodedCommit[] = []
    for (const commit of group) {
      if (this.#blocked.concerns(commit)) outcomes.set(commit, this.#blocked.add(commit))
      else free.push(commit)
    }
    const settled = await this.#send(free).catch((error: unknown) => {
      if (outcomes.size === 0) throw error
      // Those that wait for a stream have an outcome of their own.
      return free.map(() => failed(error))
    })
    free.forEach((commit, index) => {
      const outcome = settled[index]!
      outcomes.set(commit, outcome === 'locked' ? this.#blocked.add(commit) : outcome)
    })
    return group.map((commit) => outcomes.get(commit)!)
  }

  /** Resolves when nothing waits any more. */
  close(): Promise<void> {
    return this.#blocked.close()
  }

  async #send(commits: readonly EncodedCommit[], patience?: number): Promise<(Sent | Promise<never>)[]> {
    const outcomes: (Sent | Promise<never>)[] = []
    for (const run of runsOf(commits)) outcomes.push(...(await this.#sendRun(run, patience, [])))
    return outcomes
  }

  /**
   * Sends commits until their outcome is known. An attempt whose connection was lost may still be on its way: the next
   * one forbids it, by its name, in the same transaction. So what is found then stays true.
   */
  async #sendRun(
    commits: readonly EncodedCommit[],
    patience: number | undefined,
    lost: string[],
  ): Promise<(Sent | Promise<never>)[]> {
    const { place } = this.#connections
    const parameters = parametersOf(commits)
    const ask = async (): Promise<Sent[] | 'apart'> => {
      const attempt = randomUUID()
      try {
        const values = [...attemptOf(attempt, lost, patience), ...parameters]
        const [[answer] = []] = await this.#connections.ask(this.#statement, values)
        return outcomesOf(answer!, commits)
      } catch (error) {
        const fault = faultOf(error)
        if (fault === 'lost') lost.push(attempt)
        // What forbids lost attempts was taken back with the rest: it is tried until that is done.
        if (fault === 'held' && commits.length === 1 && lost.length === 0) return ['locked']
        if (commits.length > 1 && (fault === 'held' || isUnfit(error))) return 'apart'
        throw error
      }
    }
    const outcomes = await this.#connections.patiently(ask, (error, fault) => {
      if (lost.length === 0 || (fault === 'refused' && isUnfit(error))) return errorOf(error, place)
      return eventError(
        'BANYAN_OUTCOME_UNKNOWN',
        `the connection to PostgreSQL at ${place} was lost while ${commits.length === 1 ? `commit ${commits[0]!.id} was` : `${commits.length} commits were`} appended, ` +
          `and what came of it could not be found out within ${this.#retryFor} ms. Append again with the same id to know`,
        error,
      )
    })
    return outcomes === 'apart' ? this.#sendApart(commits, patience, lost) : outcomes
  }

  /** One of them is not taken; each is sent alone, so that it fails alone. */
  async #sendApart(
    commits: readonly EncodedCommit[],
    patience: number | undefined,
    lost: string[],
  ): Promise<(Sent | Promise<never>)[]> {
    const outcomes: (Sent | Promise<never>)[] = []
    for (const commit of commits) {
      const [outcome] = await this.#sendRun([commit], patience, lost).catch((error: unknown) => [
        failed(error),
      ])
      outcomes.push(outcome!)
    }
    return outcomes
  }
}

/** Parts in which no id stands twice: what an id has been taken for is looked up before a part is appended. */
function runsOf(commits: readonly EncodedCommit[]): EncodedCommit[][] {
  const runs: EncodedCommit[][] = []
  let run: EncodedCommit[] = []
  let ids = new Set<string>()
  for (const commit of commits) {
    const own = idsOf(commit)
    if (own.some((id) => ids.has(id))) {
      runs.push(run)
      run = []
      ids = new Set()
    }
    run.push(commit)
    for (const id of own) ids.add(id)
  }
  if (run.length > 0) runs.push(run)
  return runs
}

function idsOf({ id, streams }: EncodedCommit): string[] {
  const ids = [id]
  for (const { events } of streams) for (const event of events) if (event.id !== undefined) ids.push(event.id)
  return ids
}

function failed(error: unknown): Promise<never> {
  const outcome = Promise.reject(error instanceof Error ? error : new Error(String(error)))
  // Whoever appended it will look; until then it is not unhandled.
  outcome.catch(() => undefined)
  return outcome
}
