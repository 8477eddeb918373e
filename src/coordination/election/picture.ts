import type { Entry } from '../coordinator.js'
import { fieldsOf, memberOf, type Member } from '../line/member.js'
import type { Mirrored } from '../mirror.js'
import type { ElectionKeys } from './keys.js'

/** How it is found who comes next, see `algorithm` of `ElectionOptions`. */
export type ElectionAlgorithm = 'queue' | 'record' | 'line'

/** Who leads. */
export interface Leader {
  /** Who it is, by default `host:pid`. */
  readonly holder: string
  /** The fencing token of its term: higher than that of every term before. */
  readonly token: number
  /** Since when, in ms since the epoch, on its own clock; 0 if that is not known, as another program leads. */
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
  /** How the next one is found; `foreign`: another program leads, such as `etcdctl elect`, as it is the first in line. */
  readonly algorithm: ElectionAlgorithm | 'foreign'
  /** Of the key. */
  readonly revision: number
}

/** An election as its keys tell it. */
export interface Picture {
  readonly revision: number
  readonly leader: LeaderKey | undefined
  /** Who comes next comes first; without who leads. */
  readonly candidates: readonly Candidate[]
  /** Keys in line and when they were created; of who leads too, if it stays there. */
  readonly line: ReadonlyMap<string, number>
  readonly request: HandOverRequest | undefined
}

/** Reads the keys of an election. */
export function pictureOf(keys: ElectionKeys, mirrored: Mirrored): Picture {
  const { entries, revision } = mirrored
  const leader = leaderIn(keys, mirrored)
  const request = entries.get(keys.request)
  const asked = request && requestOf(request)
  const leaderInLine = leader && keys.candidates + leader.id
  const line = new Map<string, number>()
  const candidates: Candidate[] = []
  for (const entry of entries.values()) {
    if (!entry.key.startsWith(keys.candidates)) continue
    line.set(entry.key, entry.created)
    if (entry.key !== leaderInLine) candidates.push(candidateOf(entry))
  }
  return {
    revision,
    leader,
    request: asked,
    candidates: candidates.sort((a, b) =>
      leader?.algorithm === 'line' ? a.token - b.token : compare(a, b, asked?.to),
    ),
    line,
  }
}

/** Who leads: whose is the key of the leader, or without one another program that is first in line. */
export function leaderIn(keys: ElectionKeys, { entries }: Pick<Mirrored, 'entries'>): LeaderKey | undefined {
  const leader = entries.get(keys.leader)
  if (leader) return leaderOf(leader)
  let first: Entry | undefined
  for (const entry of entries.values())
    if (entry.key.startsWith(keys.candidates) && (!first || entry.created < first.created)) first = entry
  return first && isForeign(fieldsOf(first)) ? foreignLeaderOf(first, keys) : undefined
}

/** Who leads, as the value of the key tells. */
export function leaderOf(entry: Entry): LeaderKey {
  const fields = fieldsOf(entry)
  const { holder, since } = memberOf(entry)
  const { value, id, race, token } = fields
  const ofLine = typeof token === 'number' ? token : undefined
  const algorithm = race === true ? 'record' : ofLine === undefined ? 'queue' : 'line'
  return {
    holder,
    token: ofLine ?? entry.created,
    since,
    ...(value !== undefined && { value }),
    ...standingOf(fields),
    id: String(id),
    algorithm,
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

/** Whether it was not put by one of us. */
function isForeign({ holder }: ReturnType<typeof fieldsOf>): boolean {
  return typeof holder !== 'string'
}

function foreignLeaderOf(entry: Entry, keys: ElectionKeys): LeaderKey {
  const { holder, token, since } = memberOf(entry)
  const id = entry.key.slice(keys.candidates.length)
  const { value, revision } = entry
  return { holder, token, since, value, ...standingOf({}), id, algorithm: 'foreign', revision }
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
