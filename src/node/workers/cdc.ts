import type {
  CaptureStateName,
  Discarded,
  ParkedChange,
  ParkedSelection,
  Retried,
} from '../../events/index.js'
import { elsewhere, type HostedCaptures } from '../cdc/hosted-captures.js'
import type { CaptureControl, HostedCaptureState } from '../cdc/state.js'
import type { Crew } from './crew.js'

/** What a worker is asked to do with its captures. */
type Call = Exclude<keyof HostedCaptures, 'prepare' | 'close'>

/** From what tells most of a capture that several workers have, to what tells least. */
const STATES: readonly CaptureStateName[] = [
  'streaming',
  'snapshot',
  'needs-snapshot',
  'retrying',
  'connecting',
  'waiting',
  'closed',
]

/** The captures of several workers: one of them captures, and the others wait to take over. */
export class CrewCaptures implements CaptureControl {
  readonly #crew: Crew

  constructor(crew: Crew) {
    this.#crew = crew
  }

  async list(): Promise<HostedCaptureState[]> {
    const [first = [], ...others] = await this.#all<HostedCaptureState[]>('list')
    return first.map((each) =>
      [each, ...others.flatMap((list) => list.filter(({ name }) => name === each.name))].reduce(
        (best, next) => (STATES.indexOf(next.state) < STATES.indexOf(best.state) ? next : best),
      ),
    )
  }

  async resnapshot(name: string): Promise<void> {
    const begun = await this.#all<boolean>('resnapshotHere', name)
    if (!begun.includes(true)) throw elsewhere(name)
  }

  async retry(name: string): Promise<Retried> {
    const [retried] = (await this.#all<Retried | undefined>('retryHere', name)).filter(Boolean)
    if (!retried) throw elsewhere(name)
    return retried
  }

  async discard(name: string, which: ParkedSelection): Promise<Discarded> {
    const [discarded] = (await this.#all<Discarded | undefined>('discardHere', name, which)).filter(Boolean)
    if (!discarded) throw elsewhere(name)
    return discarded
  }

  parked(name: string, after: string | undefined, limit: number): Promise<ParkedChange[]> {
    return this.#crew.askOne('captures', { call: 'parked' satisfies Call, args: [name, after, limit] })
  }

  #all<Result>(call: Call, ...args: unknown[]): Promise<Result[]> {
    return this.#crew.askAll('captures', { call, args })
  }
}
