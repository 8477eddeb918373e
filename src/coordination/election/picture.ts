import type { Entry } from '../coordinator.js'
import { fieldsOf, memberOf, type Member } from '../line/member.js'
import type { Mirrored } from '../mirror.js'
import type { ElectionKeys } from './keys.js'

/** Who leads. */
export interface Leader {
  /** Who it is, by default `host:pid`. */
  readonly holder: string
  /** The fencing token of its term: higher than that of every term before. */
  readonly token: number
  /** Since when, in ms since the epoch, on its own clock. */
  readonly since: number
  /** What it tells about itself, such as its address. */
  readonly value?: unknown
}

/** How much somebody is wanted as a leader. */
export interface Standing {
  /** Higher leads. */
  readonly priority: number
  /** Whether it is in the zone that is preferred. */
  readonly preferred: boolean
}

/** Who would lead. */
export interface Candidate extends Member, Standing {
  readonly zone?: string
  /** Whether it asks a leader that is wanted less to hand over. */
  readonly preempt: boolean
}

/** What an operator, or a leader that hands over, asks for. */
export interface HandOverRequest {
  /** Of the term that shall end. */
  readonly token: number
  /** Who shall lead; default who is next. */
  readonly to?: string
  /** Who asks. */
  readonly by: string
  /** Of the key that says so. */
  readonly revision: number
}

/** A leader, with what tells it from another term of the same process. */
export interface LeaderKey extends Leader, Standing {
  readonly id: string
  /** Whether all race for its place when it is free, and nobody stands in line. */
  readonly isRace: boolean
  /** Of the key. */
  readonly revision: number
}

/** An election as its keys tell it. */
export interface Picture {
  readonly revision: number
  readonly leader: LeaderKey | undefined
  /** Who comes next comes first. */
  readonly candidates: readonly Candidate[]
  readonly request: HandOverRequest | undefined
}

/** Reads the keys of an election. */
export function pictureOf(keys: ElectionKeys, { entries, revision }: Mirrored): Picture {
  const leader = entries.get(keys.leader)
  const request = entries.get(keys.request)
  const asked = request && requestOf(request)
  const candidates: Candidate[] = []
  for (const entry of entries.values())
    if (entry.key.startsWith(keys.candidates)) candidates.push(candidateOf(entry))
  return {
    revision,
    leader: leader && leaderOf(leader),
    request: asked,
    candidates: candidates.sort((a, b) => compare(a, b, asked?.to)),
  }
}

/** Who leads, as the value of the key tells. */
export function leaderOf(entry: Entry): LeaderKey {
  const fields = fieldsOf(entry)
  const { holder, token, since } = memberOf(entry)
  const { value, id, race } = fields
  return {
    holder,
    token,
    since,
    ...(value !== undefined && { value }),
    ...standingOf(fields),
    id: String(id),
    isRace: race === true,
    revision: entry.revision,
  }
}

/** What others are told of a leader. */
export function publicLeader({ holder, token, since, value }: Leader): Leader {
  return { holder, token, since, ...(value !== undefined && { value }) }
}

/** Whether somebody is wanted more than another, without regard to who came first. */
export function isWantedMore(a: Standing, b: Standing): boolean {
  return a.priority > b.priority || (a.priority === b.priority && a.preferred && !b.preferred)
}

function candidateOf(entry: Entry): Candidate {
  const fields = fieldsOf(entry)
  const { zone, preempt } = fields
  return {
    ...memberOf(entry),
    ...standingOf(fields),
    ...(typeof zone === 'string' && { zone }),
    preempt: preempt === true,
  }
}

function standingOf({ priority, preferred }: Readonly<Record<string, unknown>>): Standing {
  return { priority: typeof priority === 'number' ? priority : 0, preferred: preferred === true }
}

function requestOf(entry: Entry): HandOverRequest {
  const { token, to, by } = fieldsOf(entry)
  const { revision } = entry
  return { token: Number(token), ...(typeof to === 'string' && { to }), by: String(by), revision }
}

function compare(a: Candidate, b: Candidate, to: string | undefined): number {
  if (to !== undefined && (a.holder === to) !== (b.holder === to)) return a.holder === to ? -1 : 1
  if (isWantedMore(a, b)) return -1
  return isWantedMore(b, a) ? 1 : a.token - b.token
}
