import type { ParkedRow, ProjectorState, Redriven, Switched, SwitchOptions } from '../../events/index.js'
import type { HostedProjections } from '../projections/hosted-projections.js'
import type {
  HostedProjectionState,
  ProjectionControl,
  RebuildRequest,
  RedriveRequest,
  VersionState,
} from '../projections/state.js'
import type { Crew } from './crew.js'

/** What a worker is asked to do with its projections. */
type Call = Exclude<keyof HostedProjections, 'prepare' | 'close'>

/** From what tells most of a version that several workers know of, to what tells least. */
const STATES: readonly ProjectorState[] = ['running', 'retrying', 'failed', 'starting', 'standby', 'closed']

/**
 * The projections of several workers. Each worker runs all of them, and one at a time works at each; what is asked for is
 * done by one worker, after the others have let go of it.
 */
export class CrewProjections implements ProjectionControl {
  readonly #crew: Crew

  constructor(crew: Crew) {
    this.#crew = crew
  }

  async list(): Promise<HostedProjectionState[]> {
    const [first = [], ...others] = await this.#all<HostedProjectionState[]>('list')
    return first.map((each) => merged(each, others))
  }

  async rebuild(name: string, request: RebuildRequest): Promise<{ name: string; version: number }> {
    const version = await this.#one<number>('versionOf', name, request)
    await this.#all('release', name, version)
    try {
      return await this.#one('rebuild', name, { ...request, version })
    } finally {
      await this.#all('resume', name)
    }
  }

  switch(name: string, version: number, options: SwitchOptions): Promise<Switched> {
    return this.#one('switch', name, version, options)
  }

  undo(name: string, options: SwitchOptions): Promise<Switched> {
    return this.#one('undo', name, options)
  }

  async drop(name: string, version: number, force: boolean): Promise<void> {
    await this.#all('release', name, version)
    try {
      await this.#one('drop', name, version, force)
    } catch (error) {
      await this.#all('resume', name)
      throw error
    }
  }

  redrive(name: string, request: RedriveRequest): Promise<Redriven & { version: number }> {
    return this.#one('redrive', name, request)
  }

  parked(
    name: string,
    version: number | undefined,
    after: string | undefined,
    limit: number,
  ): Promise<{ version: number; parked: ParkedRow[] }> {
    return this.#one('parked', name, version, after, limit)
  }

  #one<Result>(call: Call, ...args: unknown[]): Promise<Result> {
    return this.#crew.askOne('projections', { call, args })
  }

  #all<Result>(call: Call, ...args: unknown[]): Promise<Result[]> {
    return this.#crew.askAll('projections', { call, args })
  }
}

/** What the store has is the same for all; of what they do about a version, that which tells most. */
function merged(
  first: HostedProjectionState,
  others: readonly (readonly HostedProjectionState[])[],
): HostedProjectionState {
  const same = others.flatMap((list) => list.filter(({ name }) => name === first.name))
  const versions = first.versions.map((each) => {
    const all = [each, ...same.flatMap((other) => other.versions.filter((v) => v.version === each.version))]
    return all.reduce((best, next) => (rank(next) < rank(best) ? next : best))
  })
  return { ...first, versions }
}

function rank({ here }: VersionState): number {
  return here ? STATES.indexOf(here.state) : STATES.length
}
