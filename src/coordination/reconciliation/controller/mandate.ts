import { elect } from '../../election/election.js'
import { joinShards } from '../../sharding/map/worker.js'
import type { ControllerElection, ControllerSettings, ControllerShards } from './options.js'

/** What allows a process to work on keys. Terms of elections and owned buckets are such. */
export interface Mandate {
  /** The fencing token; undefined where nobody else is. */
  readonly token: number | undefined
  /** Aborts when it ends. */
  readonly signal: AbortSignal
  /** @throws if it is over at this moment, by the clock */
  readonly check: () => void
  /** Checks, then works: nobody else has the keys before that has ended, unless the lease was lost. */
  readonly guard: <Result>(work: () => Result) => Result
}

/** Says who may work on which keys. */
export interface Mandates {
  /** Undefined while somebody else may, or nobody knows. */
  of(key: string): Mandate | undefined
  /** Resolves when work has ended, and others may begin. */
  close(): Promise<void>
}

/**
 * @param gained - told of each mandate when it begins
 */
export function mandatesOf(
  { name, election, shards }: Pick<ControllerSettings, 'name' | 'election' | 'shards'>,
  gained: (mandate: Mandate) => void,
): Mandates {
  if (election) return elected(name, election, gained)
  return shards ? sharded(name, shards, gained) : alone(gained)
}

function alone(gained: (mandate: Mandate) => void): Mandates {
  const mandate: Mandate = {
    token: undefined,
    signal: new AbortController().signal,
    check: () => undefined,
    guard: (work) => work(),
  }
  // As with the others: not before it can be asked for.
  queueMicrotask(() => gained(mandate))
  return { of: () => mandate, close: () => Promise.resolve() }
}

function elected(
  name: string,
  { coordinator, ...options }: ControllerElection,
  gained: (mandate: Mandate) => void,
): Mandates {
  const election = elect(coordinator, nameOf(name), {
    ...options,
    onLead: (_signal, _token, term) => {
      gained(term)
      return aborted(term.signal)
    },
  })
  return {
    of: () => (election.term?.held ? election.term : undefined),
    close: () => election.close(),
  }
}

function sharded(
  name: string,
  { coordinator, ...options }: ControllerShards,
  gained: (mandate: Mandate) => void,
): Mandates {
  const worker = joinShards(coordinator, nameOf(name), { ...options, own: gained })
  return { of: (key) => worker.holds(key), close: () => worker.close() }
}

/** Elections and maps of controllers are apart from those of an application. */
function nameOf(controller: string): string {
  return `controller:${controller}`
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
