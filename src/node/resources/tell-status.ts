import { isDeepStrictEqual } from 'node:util'
import { hasCode } from '../../coordination/errors.js'
import type { ResourceApi } from '../../coordination/resources/api.js'
import { ResourceError } from '../../coordination/resources/error.js'
import type { Resource } from '../../coordination/resources/object.js'
import type { GatewayState } from '../../traffic/gateway/gateway.js'
import type { RouteSpec } from '../../traffic/gateway/spec.js'
import { entryKinds, NODE_KIND, type EntryKind } from './kinds.js'
import { mergedStatus } from './merge-status.js'
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
  /** RFC 3339. */
  readonly now: string
  /** Told of a resource that takes no status: one that no longer fits its schema. Others go on. */
  onRefused(resource: Resource, error: ResourceError): void
}

/** How often a status is written anew because another node was faster. */
const TRIES = 8

/** Tells resources what has become of them: one write for each that there is news of. */
export async function tellStatus(
  api: ResourceApi,
  verdicts: readonly Verdict[],
  knowledge: Knowledge,
): Promise<void> {
  const { resources } = knowledge
  const latest = new Map(resources.map((resource) => [resource.metadata.uid, resource]))
  const nodes = new Set(
    resources.filter(({ kind }) => kind === NODE_KIND).map(({ metadata }) => metadata.name),
  )
  const kinds = new Map(entryKinds().map(({ definition }) => [definition.kind, definition]))
  for (const verdict of verdicts) {
    const resource = latest.get(verdict.resource.metadata.uid)
    if (!resource) continue
    const report = reportOf(verdict, knowledge)
    const statusOf = ({ metadata: { generation }, status }: Resource): EntryStatus =>
      mergedStatus(status as EntryStatus | undefined, report, { generation, nodes, now: knowledge.now })
    try {
      await tell(api, kinds.get(resource.kind)!, resource, statusOf)
    } catch (error) {
      if (!(error instanceof ResourceError)) throw error
      // What is gone needs none.
      if (error.code !== 'BANYAN_RESOURCE_NOT_FOUND') knowledge.onRefused(resource, error)
    }
  }
}

async function tell(
  api: ResourceApi,
  kind: EntryKind['definition'],
  resource: Resource,
  statusOf: (current: Resource) => EntryStatus,
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
