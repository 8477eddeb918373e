import type { Coordinator } from '../coordinator.js'
import type { Picture } from './picture.js'
import type { Settings } from './options.js'

/** The longest wait of a race for one key, as a part of the time of a lease; and in ms. */
const RACE = { part: 1 / 50, max: 200 }
/** How long whoever comes next may take before the one behind it may lead, as a part of the time of a lease. */
const PATIENCE = 1 / 10

const leads = new WeakMap<Coordinator, number>()

/** How many elections a process leads by one coordinator. */
export function countLead(coordinator: Coordinator, by: 1 | -1): void {
  leads.set(coordinator, (leads.get(coordinator) ?? 0) + by)
}

/**
 * How long somebody has to wait, after nobody leads any more, before it may try to: in ms. Only a matter of order, as who leads
 * is decided by one key that can be put once: so a candidate that does not answer need not be waited for until its lease ends.
 *
 * @param key - of the candidate; undefined in a race
 * @param chance - from 0 to 1, the same for each try of one vacancy
 */
export function waitOf(
  coordinator: Coordinator,
  { algorithm, spread, priority }: Settings,
  ttl: number,
  { candidates, request }: Picture,
  key: string | undefined,
  chance: number,
): number {
  const crowded = Math.min(ttl, (leads.get(coordinator) ?? 0) * spread)
  if (algorithm === 'record') return crowded + chance * Math.min(RACE.max, ttl * RACE.part)
  const found = candidates.findIndex((candidate) => candidate.key === key)
  const place = found < 0 ? candidates.length : found
  if (spread === 0) return place * ttl * PATIENCE
  // Who leads fewer comes before who came first, but not before who is wanted more.
  const above = candidates.filter(
    (candidate, index) =>
      index < place && (candidate.priority > priority || candidate.holder === request?.to),
  ).length
  return above * ttl * PATIENCE + crowded + ((place - above) / (2 * Math.max(1, candidates.length))) * spread
}

/** How long a leader that has handed over lets others try before it is a candidate again, at most, in ms. */
export function yieldTime({ algorithm }: Settings, ttl: number): number {
  return algorithm === 'queue' ? ttl / 2 : 2 * Math.min(RACE.max, ttl * RACE.part)
}
