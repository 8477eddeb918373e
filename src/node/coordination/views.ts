import { suggest } from '../../core/suggest.js'
import type { Coordinator } from '../../coordination/coordinator.js'
import { readElections, type ElectionPicture } from '../../coordination/election/read-elections.js'
import { coordinationError, hasCode, type CoordinationErrorCode } from '../../coordination/errors.js'
import { readJob, readJobs, type JobStatus } from '../../coordination/jobs/read.js'
import { JOBS_PREFIX } from '../../coordination/jobs/store.js'
import { KEYSPACE, segment } from '../../coordination/keyspace.js'
import { readLocks, type LockState } from '../../coordination/lock/read-locks.js'
import type { Instance } from '../../coordination/registry/instance.js'
import {
  readRegistry,
  readRegistryHistory,
  type RegistryHappening,
} from '../../coordination/registry/read.js'
import { MOVERS } from '../../coordination/sharding/data/moves/mover.js'
import { plannerOf } from '../../coordination/sharding/map/keys.js'
import { readShards, type ShardMapPicture } from '../../coordination/sharding/map/read-shards.js'
import { readSemaphores, type SemaphoreState } from '../../coordination/semaphore/read-semaphores.js'

import {
  listDataShards,
  listShardMaps,
  showDataShards,
  type DataShardsDetail,
  type DataShardsStatus,
  type ShardMapStatus,
} from './shard-views.js'

/** An election, without its past. */
export type ElectionStatus = Omit<ElectionPicture, 'history'>

/** An instance as the registry has it: to doubt that is a matter of those who look for one. */
export type InstanceStatus = Omit<Instance, 'doubted'>

/** A service as the registry has it. */
export interface ServiceStatus {
  readonly name: string
  readonly instances: readonly InstanceStatus[]
}

/** What operators look at, by the part of the admin API where it is: all of a kind, and one with its past. */
export interface Views {
  elections: { status: ElectionStatus; detail: ElectionPicture }
  locks: { status: LockState; detail: LockState }
  semaphores: { status: SemaphoreState; detail: SemaphoreState }
  jobs: { status: JobStatus; detail: Awaited<ReturnType<typeof readJob>> }
  registry: {
    status: ServiceStatus
    detail: ServiceStatus & { readonly history: readonly RegistryHappening[] }
  }
  shards: { status: ShardMapStatus; detail: ShardMapPicture }
  'data-shards': { status: DataShardsStatus; detail: DataShardsDetail }
}

/** The name of a view. */
export type ViewName = keyof Views

/** How a view is read. */
interface Reader<Name extends ViewName> {
  /** What one of them is called. */
  readonly one: string
  readonly unknown: CoordinationErrorCode
  /** Of all keys that it shows. */
  readonly prefixes: readonly string[]
  list(coordinator: Coordinator): Promise<readonly Views[Name]['status'][]>
  /** Undefined if there is none of that name. */
  show(coordinator: Coordinator, name: string): Promise<Views[Name]['detail'] | undefined>
}

/** Of the elections of who plans shard maps. */
const PLANNERS = `${KEYSPACE.elections}${segment(plannerOf(''))}`

const VIEWS: { readonly [Name in ViewName]: Reader<Name> } = {
  elections: {
    one: 'election',
    unknown: 'BANYAN_ELECTION_UNKNOWN',
    prefixes: [KEYSPACE.elections, `${KEYSPACE.history}elections/`],
    list: async (coordinator) =>
      (await readElections(coordinator)).map(({ name, leader, candidates, request }) => ({
        ...{ name, leader, candidates, request },
      })),
    show: (coordinator, name) => named(name, readElections(coordinator)),
  },
  locks: {
    one: 'lock',
    unknown: 'BANYAN_LOCK_UNKNOWN',
    prefixes: [KEYSPACE.locks],
    list: readLocks,
    show: (coordinator, name) => named(name, readLocks(coordinator)),
  },
  semaphores: {
    one: 'semaphore',
    unknown: 'BANYAN_LOCK_UNKNOWN',
    prefixes: [KEYSPACE.semaphores],
    list: readSemaphores,
    show: (coordinator, name) => named(name, readSemaphores(coordinator)),
  },
  jobs: {
    one: 'job',
    unknown: 'BANYAN_JOB_UNKNOWN',
    prefixes: [JOBS_PREFIX, `${KEYSPACE.history}jobs/`],
    list: readJobs,
    show: (coordinator, name) =>
      readJob(coordinator, name).catch((error: unknown) => {
        if (hasCode(error, 'BANYAN_JOB_UNKNOWN')) return undefined
        throw error
      }),
  },
  registry: {
    one: 'service',
    unknown: 'BANYAN_SERVICE_UNKNOWN',
    prefixes: [KEYSPACE.services, `${KEYSPACE.history}services/`],
    list: listServices,
    async show(coordinator, name) {
      const [service, history] = await Promise.all([
        named(name, listServices(coordinator)),
        readRegistryHistory(coordinator, name),
      ])
      if (!service && history.length === 0) return undefined
      return { name, instances: service?.instances ?? [], history }
    },
  },
  shards: {
    one: 'shard map',
    unknown: 'BANYAN_SHARD_MAP_UNKNOWN',
    prefixes: [KEYSPACE.shards, `${KEYSPACE.history}shards/`, PLANNERS],
    list: listShardMaps,
    show: (coordinator, name) =>
      readShards(coordinator, name).catch((error: unknown) => {
        if (hasCode(error, 'BANYAN_SHARD_MAP_UNKNOWN')) return undefined
        throw error
      }),
  },
  'data-shards': {
    one: 'application in several databases',
    unknown: 'BANYAN_SHARDS_UNKNOWN',
    prefixes: [KEYSPACE.dataShards, `${KEYSPACE.history}data-shards/`, MOVERS],
    list: listDataShards,
    show: showDataShards,
  },
}

/** Two things that are easily taken for each other. */
const OTHER_SHARDS: Readonly<Partial<Record<ViewName, 'shards' | 'data-shards'>>> = {
  shards: 'data-shards',
  'data-shards': 'shards',
}

/** The prefixes of all keys that a view shows. */
export function prefixesOf(view: ViewName): readonly string[] {
  return VIEWS[view].prefixes
}

/** Everything that a view shows. */
export function listOf<Name extends ViewName>(
  view: Name,
  coordinator: Coordinator,
): Promise<readonly Views[Name]['status'][]> {
  return VIEWS[view].list(coordinator)
}

/**
 * One of what a view shows, with its past.
 *
 * @throws an error that names those that there are, or the one that was most likely meant
 */
export async function detailOf<Name extends ViewName>(
  view: Name,
  name: string,
  coordinator: Coordinator,
): Promise<Views[Name]['detail']> {
  const { one, unknown } = VIEWS[view]
  const found = await VIEWS[view].show(coordinator, name)
  if (found) return found
  const names = (await listOf(view, coordinator)).map((each) => each.name)
  const other = OTHER_SHARDS[view]
  if (other && (await VIEWS[other].show(coordinator, name)))
    throw coordinationError(
      unknown,
      `there is no ${one} ${JSON.stringify(name)}: it is a ${VIEWS[other].one}, see /api/${other}`,
    )
  const none = view === 'locks' || view === 'semaphores' ? 'nobody holds one' : 'there is none'
  throw coordinationError(unknown, `there is no ${one} ${JSON.stringify(name)}${hintOf(name, names, none)}`)
}

/** What somebody may have meant. */
export function hintOf(name: string, names: readonly string[], none: string): string {
  const near = suggest(name, names)
  if (near !== undefined) return `, did you mean ${JSON.stringify(near)}?`
  return names.length === 0 ? `: ${none}` : `; there are ${shortened(names).join(', ')}`
}

const MOST_NAMES = 10

function shortened(names: readonly string[]): string[] {
  const quoted = names.slice(0, MOST_NAMES).map((name) => JSON.stringify(name))
  return names.length > MOST_NAMES ? [...quoted, `${names.length - MOST_NAMES} more`] : quoted
}

async function named<Status extends { readonly name: string }>(
  name: string,
  all: Promise<readonly Status[]>,
): Promise<Status | undefined> {
  return (await all).find((each) => each.name === name)
}

async function listServices(coordinator: Coordinator): Promise<ServiceStatus[]> {
  const services = await readRegistry(coordinator)
  return services.map(({ service, instances }) => ({
    name: service,
    instances: instances.map((instance) => {
      const status: InstanceStatus & { doubted?: boolean } = { ...instance }
      delete status.doubted
      return status
    }),
  }))
}
