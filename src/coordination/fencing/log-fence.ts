import type { EventLog } from '../../events/log.js'
import { coordinationError } from '../errors.js'
import { checkFenceName, type CheckedClaim } from './claim.js'
import { StaleTokenError } from './stale-token.js'

/** What their streams begin with. What patterns keep in streams with `$` goes through no transforms. */
const CATEGORY = '$fence'

/** Of events of fences. */
const OWN_TYPES: ReadonlySet<string> = new Set(['FenceRaised', 'FenceReset'])

/** What a fence is at. */
interface Mark {
  /** What the next change of it, or a check, expects. */
  readonly revision: number | 'none'
  /** The highest token; undefined if what said so was truncated. */
  readonly token: number | undefined
  /** What the last event is, if it says no token. */
  readonly foreign?: string
}

/** What is known of a fence, for operators. */
export interface FenceState {
  readonly name: string
  /** The highest token; undefined if what said so was truncated, or something else was appended behind it. */
  readonly token: number | undefined
  /** When it was first used, in ms since the epoch. */
  readonly raised: number | undefined
}

/**
 * One fence in an event log: a stream whose last event says the highest token. A token is raised with an expected revision;
 * and whatever is appended under it checks that the stream has that revision still, in the same commit.
 */
export class LogFence {
  readonly stream: string
  readonly #log: EventLog
  readonly #claim: CheckedClaim
  #raised: Promise<number> | undefined

  constructor(log: EventLog, claim: CheckedClaim) {
    this.stream = streamOf(claim.name)
    this.#log = log
    this.#claim = claim
  }

  /**
   * The revision that the stream of the fence has while this token is the highest; raises it if it is not.
   *
   * @param passed - what this has told before, and what is not so any more
   * @throws {@link StaleTokenError}; `BANYAN_FENCE_UNKNOWN`; what the log throws, and then nothing was done
   */
  async raised(passed?: number): Promise<number> {
    const known = this.#raised
    // Of many who find out at the same time one looks.
    if (known && passed !== undefined && (await known) === passed && this.#raised === known)
      this.#raised = undefined
    this.#raised ??= this.#raise().catch((error: unknown) => {
      this.#raised = undefined
      throw error
    })
    return this.#raised
  }

  async #raise(): Promise<number> {
    const { name, token, check } = this.#claim
    for (;;) {
      check()
      const mark = await markOf(this.#log, this.stream)
      if (mark.foreign !== undefined) throw this.#foreign(mark.foreign)
      if (mark.token === undefined) this.#requireHeld()
      if (mark.token! > token) throw new StaleTokenError(name, token, mark.token!)
      if (mark.token === token) return mark.revision as number
      const result = await this.#log.append({
        streams: [
          {
            stream: this.stream,
            expected: mark.revision,
            events: [{ type: 'FenceRaised', data: { token } }],
          },
        ],
      })
      if (result.ok) return result.streams[0]!.revision
    }
  }

  /** Somebody else has written there: what it says of the highest token is not known, whoever asks. */
  #foreign(type: string): Error {
    const { name } = this.#claim
    return coordinationError(
      'BANYAN_FENCE_UNKNOWN',
      `which token of the fence ${JSON.stringify(name)} was the highest is not known, as the last event of ${this.stream} is a ` +
        `${JSON.stringify(type)} that was appended to it by something else. Nothing but fences may append to ${CATEGORY}-…; when whoever ` +
        `has an old token is gone, resetFence(log, ${JSON.stringify(name)}) makes the fence usable again`,
    )
  }

  /** Who holds it after everything is gone that others have said holds it after them. A number alone cannot tell. */
  #requireHeld(): void {
    const { name, live, check } = this.#claim
    check()
    if (live) return
    throw coordinationError(
      'BANYAN_FENCE_UNKNOWN',
      `which token of the fence ${JSON.stringify(name)} was the highest is not known, as all events of ${this.stream} were truncated, ` +
        'and a number alone does not tell whether it is still held. Give what is held instead of its token, ' +
        `or keep the category ${CATEGORY} with a retention rule of { category: '${CATEGORY}', maxEvents: 1 }`,
    )
  }
}

/**
 * What fences a log has, in the order of their names.
 *
 * @throws what `log.streams` and `log.read` throw
 */
export async function readFences(log: EventLog): Promise<FenceState[]> {
  const states: FenceState[] = []
  for await (const { stream } of log.streams({ category: CATEGORY })) {
    const name = stream.slice(CATEGORY.length + 1)
    const last = await lastOf(log, stream)
    states.push({ name, token: last?.token, raised: last?.recorded })
  }
  return states
}

/**
 * Lets every token through a fence of a log again, until the next is used. For operators: after a coordinator was lost, and a
 * new one gives out lower tokens than the fence has seen. Whoever has a token of before must be gone.
 *
 * @returns whether there was such a fence
 */
export async function resetFence(log: EventLog, name: string): Promise<boolean> {
  checkFenceName(name)
  const stream = streamOf(name)
  if ((await log.revision(stream)) === 'none') return false
  await log.append({ streams: [{ stream, events: [{ type: 'FenceReset', data: { token: 0 } }] }] })
  return true
}

function streamOf(name: string): string {
  return `${CATEGORY}-${name}`
}

async function markOf(log: EventLog, stream: string): Promise<Mark> {
  const last = await lastOf(log, stream)
  if (last) return last
  const revision = await log.revision(stream)
  if (revision === 'none') return { revision, token: 0 }
  // It may have been raised between the two questions.
  return (await lastOf(log, stream)) ?? { revision, token: undefined }
}

async function lastOf(
  log: EventLog,
  stream: string,
): Promise<(Mark & { readonly revision: number; readonly recorded: number }) | undefined> {
  const last = log.read<{ type: string; data: unknown }>({ stream }, { backwards: true, limit: 1 })
  for await (const { type, revision, data, recorded } of last) {
    const { token } = (data ?? {}) as { token?: unknown }
    return Number.isSafeInteger(token) && OWN_TYPES.has(type)
      ? { revision, token: token as number, recorded }
      : { revision, token: undefined, foreign: type, recorded }
  }
  return undefined
}
