import type { Coordinator, Entry } from '../coordinator.js'
import { KEYSPACE, nameOf } from '../keyspace.js'
import { termsIn, type PastTerm } from './history.js'
import { electionKeys } from './keys.js'
import { pictureOf, publicLeader, type Candidate, type HandOverRequest, type Leader } from './picture.js'

/** An election, as the keys tell it. */
export interface ElectionPicture {
  readonly name: string
  readonly leader: Leader | undefined
  /** Who comes next comes first; empty for a race. */
  readonly candidates: readonly Candidate[]
  /** What the leader is asked for and has not done yet. */
  readonly request: HandOverRequest | undefined
  /** The last terms, oldest first. */
  readonly history: readonly PastTerm[]
}

const HISTORIES = `${KEYSPACE.history}elections/`

/** All elections that somebody takes part in, or of which something is known, in the order of their names. */
export async function readElections(coordinator: Coordinator): Promise<ElectionPicture[]> {
  const [{ entries, revision }, histories] = await Promise.all([
    coordinator.list(KEYSPACE.elections),
    coordinator.list(HISTORIES),
  ])
  const past = new Map(
    histories.entries.map(({ key, value }) => [nameOf(key.slice(HISTORIES.length)), termsIn(value)]),
  )
  const keysOf = new Map<string, Map<string, Entry>>()
  for (const name of past.keys()) keysOf.set(name, new Map())
  for (const entry of entries) {
    const name = nameOf(entry.key.slice(KEYSPACE.elections.length).split('/', 1)[0]!)
    const own = keysOf.get(name) ?? new Map<string, Entry>()
    keysOf.set(name, own.set(entry.key, entry))
  }
  return Array.from(keysOf, ([name, own]): ElectionPicture => {
    const keys = electionKeys(name)
    const { leader, candidates, request } = pictureOf(keys, { entries: own, revision })
    return {
      name,
      leader: leader && publicLeader(leader),
      candidates,
      request: request?.token === leader?.token ? request : undefined,
      history: past.get(name) ?? [],
    }
  }).sort((a, b) => (a.name < b.name ? -1 : 1))
}
