import type { Coordinator, Entry } from '../coordinator.js'
import { KEYSPACE, nameOf, segment } from '../keyspace.js'
import type { Ancestor } from './node.js'

/** What routers and operators have agreed on, in the coordinator. */
export interface LeaderRecord {
  /** `promoting`: nobody writes, until it says who leads. */
  readonly kind: 'leading' | 'promoting'
  readonly cluster: string
  /** Who leads, or led. */
  readonly node: string
  readonly timeline: number
  /** Who is to lead. */
  readonly to?: string
  /** In ms since the epoch. */
  readonly since: number
  /** Of all routers, in ms. */
  readonly ttl: number
  /** What that timeline has of others, as far as it is known. */
  readonly ancestors: readonly Ancestor[]
}

/** The name of replicas, and what is agreed on of them. */
export interface AgreedReplicas extends Omit<LeaderRecord, 'ancestors'> {
  readonly name: string
}

/** The key of the replicas of that name. */
export function recordKey(name: string): string {
  return `${KEYSPACE.replication}${segment(name)}/leader`
}

/** The value of that key. */
export function valueOf({ ancestors, ...record }: LeaderRecord): string {
  const ends = ancestors.map(({ timeline, end }) => [timeline, end.toString(16)])
  return JSON.stringify({ ...record, ancestors: ends })
}

/** What stands there. */
export function recordIn({ value }: Entry): LeaderRecord {
  const { ancestors, ...record } = JSON.parse(value) as Omit<LeaderRecord, 'ancestors'> & {
    ancestors: [number, string][]
  }
  return {
    ...record,
    ancestors: ancestors.map(([timeline, end]) => ({ timeline, end: BigInt(`0x${end}`) })),
  }
}

/** All replicas that routers have agreed on something about, in the order of their names; what JSON can hold. */
export async function readReplicas(coordinator: Coordinator): Promise<AgreedReplicas[]> {
  const { entries } = await coordinator.list(KEYSPACE.replication)
  return entries
    .filter(({ key }) => key.endsWith('/leader'))
    .map((entry) => {
      const name = nameOf(entry.key.slice(KEYSPACE.replication.length).split('/', 1)[0]!)
      const { kind, cluster, node, timeline, to, since, ttl } = recordIn(entry)
      return { name, kind, cluster, node, timeline, ...(to !== undefined && { to }), since, ttl }
    })
}
