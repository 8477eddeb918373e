import { isDeepStrictEqual } from 'node:util'
import { hasCode } from '../../coordination/errors.js'
import type { ResourceApi } from '../../coordination/resources/api.js'
import { ResourceError } from '../../coordination/resources/error.js'
import type { Resource } from '../../coordination/resources/object.js'
import type { GatewayState } from '../../traffic/gateway/gateway.js'
import type { RouteSpec } from '../../traffic/gateway/spec.js'
import { entryKinds, NODE_KIND, type EntryKind } from './kinds.js'
import { goneStatus, mergedStatus } from './merge-status.js'
import { readinessOf } from './readiness.js'
import type { EntryStatus, NodeReport } from './status.js'
import type { Finding, Verdict } from './verdict.js'

/** What a node knows when it tells resources how they are. */
export interface Knowledge {
  /** The name of the resource of the node. */
  readonly node: string
  readonly configGeneration: number
  readonly configHash: string
  readonly services: GatewayState['services']
  readonly routes: Readonly<Record<string, RouteSpec>>
  /** As they are now, with what was told of them. */
  readonly resources: readonly Resource[]
  /** Whether a node has a process, as far as is known; by the name of its resource. */
  readonly isThere: (node: string) => boolean
  /** RFC 3339. */
  readonly now: string
  /** Told of a resource that takes no status: one that no longer fits its schema. Others go on. */
  onRefused(resource: Resource, error: ResourceError): void
}

/** How often a status is written anew because another node was faster. */
const TRIES = 8

/** What is to be told of a resource, given what was told of it. */
interface News {
  readonly resource: Resource
  readonly statusOf: (current: Resource) => EntryStatus | undefined
}

/** Tells resources what has become of them: one write for each that there is news of. */
export async function tellStatus(
  api: ResourceApi,
  verdicts: readonly Verdict[],
  knowledge: Knowledge,
): Promise<void> {
  const kinds = new Map(entryKinds().map(({ definition }) => [definition.kind, definition]))
  for (const { resource, statusOf } of [...newsOf(verdicts, knowledge), ...newsOfGone(knowledge)]) {
    try {
      await tell(api, kinds.get(resource.kind)!, resource, statusOf)
    } catch (error) {
      if (!(error instanceof ResourceError)) throw error
      // What is gone needs none.
      if (error.code !== 'BANYAN_RESOURCE_NOT_FOUND') knowledge.onRefused(resource, error)
    }
  }
}

/** What this node has to say. */
function newsOf(verdicts: readonly Verdict[], knowledge: Knowledge): News[] {
  const { resources, isThere, now } = knowledge
  const latest = new Map(resources.map((resource) => [resource.metadata.uid, resource]))
  const nodes = new Set(
    nodesIn(resources)
      .map(({ metadata }) => metadata.name)
      .filter(isThere),
  )
  return verdicts.flatMap((verdict) => {
    const resource = latest.get(verdict.resource.metadata.uid)
    if (!resource) return []
    const report = reportOf(verdict, knowledge)
    const statusOf = ({ metadata: { generation }, status }: Resource): EntryStatus =>
      mergedStatus(status as EntryStatus | undefined, report, { generation, nodes, now })
    return { resource, statusOf }
  })
}

/** What nodes that have no process any more cannot say. */
function newsOfGone({ resources, isThere, now }: Knowledge): News[] {
  return nodesIn(resources)
    .filter(({ metadata }) => !isThere(metadata.name))
    .map((resource) => ({
      resource,
      statusOf: ({ metadata, status }: Resource) => {
        const before = status as EntryStatus | undefined
        // One that never was is not gone, and one that is faster than this is back.
        return before && !isThere(metadata.name) ? goneStatus(before, now) : before
      },
    }))
}

function nodesIn(resources: readonly Resource[]): readonly Resource[] {
  return resources.filter(({ kind }) => kind === NODE_KIND)
}

async function tell(
  api: ResourceApi,
  kind: EntryKind['definition'],
  resource: Resource,
  statusOf: News['statusOf'],
): Promise<void> {
  let current = resource
  for (let tries = 0; tries < TRIES; tries++) {
    const status = statusOf(current)
    if (isDeepStrictEqual(current.status, status)) return
    try {
      await api.updateStatus(kind, { ...current, spec: current.spec as Record<string, unknown>, status })
      return
    } catch (error) {
      if (!hasCode(error, 'BANYAN_RESOURCE_CONFLICT')) throw error
    }
    const { name, namespace } = resource.metadata
    current = await api.get(kind, { name, ...(namespace !== undefined && { namespace }) })
    // What has its name now is another.
    if (current.metadata.uid !== resource.metadata.uid) return
  }
}

function reportOf({ resource, accepted, programmed }: Verdict, knowledge: Knowledge): NodeReport {
  const { node: name, configGeneration, configHash, routes, services } = knowledge
  const ready: Finding =
    programmed.status === 'True'
      ? (readinessOf(resource, routes, services) ?? programmed)
      : { status: 'Unknown', reason: 'NotProgrammed', message: 'it is not in force as it is' }
  return {
    name,
    observedGeneration: resource.metadata.generation,
    // Of the node alone: all others would be written anew with each change of one.
    ...(resource.kind === NODE_KIND && { configGeneration, configHash }),
    conditions: [
      { type: 'Accepted', ...accepted },
      { type: 'Programmed', ...programmed },
      { type: 'Ready', ...ready },
    ],
  }
}
