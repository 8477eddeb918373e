import type { Look } from './node.js'

/** What is known of one server. */
export interface Witness {
  readonly node: string
  /** The last look, also while it is away. */
  readonly look: Look | undefined
  readonly away: boolean
}

/** What is known already. */
export interface Known {
  readonly cluster: string | undefined
  /** The newest timeline that anybody has told of; 0 for none. */
  readonly timeline: number
}

/** What the coordinator says. */
export interface Said extends Known {
  readonly cluster: string
  readonly node: string
}

/** What a server is for the router. */
export type Role =
  | 'leader'
  | 'follower'
  /** It leads an older timeline: somebody else was promoted. */
  | 'old leader'
  /** It belongs to another cluster. */
  | 'foreign'
  /** Nobody has seen it yet, or two lead. */
  | 'unknown'

/** Who leads. */
export interface Judgement extends Known {
  /** Of the newest timeline, and there. */
  readonly leader: string | undefined
  /** Why there is none. */
  readonly problem: string | undefined
  /** Two lead the newest timeline. */
  readonly split: boolean
  readonly roles: ReadonlyMap<string, Role>
}

/**
 * Who leads: who says so of the newest timeline that anybody has told of. If two do, neither: they have been promoted apart from
 * each other, and what they have differs. One that was seen to lead counts until it is seen otherwise.
 */
export function judge(witnesses: readonly Witness[], known: Known, said?: Said): Judgement {
  const cluster = known.cluster ?? mostCommon(witnesses, said?.cluster)
  const told = said?.cluster === cluster ? said : undefined
  const roles = new Map<string, Role>()
  const ours = witnesses.filter(({ look }) => look && look.cluster === cluster)
  const timeline = Math.max(
    known.timeline,
    told?.timeline ?? 0,
    ...ours.map(({ look }) => look!.timeline ?? 0),
  )
  const leading = ours.filter(({ look }) => look!.role === 'leader' && look!.timeline === timeline)
  const split = leading.length > 1
  for (const witness of witnesses) roles.set(witness.node, roleOf(witness, cluster, leading))
  const [first] = leading
  const leader = first && !split && !first.away ? first.node : undefined
  return { cluster, timeline, leader, split, roles, problem: leader === undefined ? why() : undefined }

  function why(): string {
    if (cluster === undefined)
      return witnesses.some(({ look }) => look)
        ? 'the servers belong to different clusters; say which one is meant with `cluster`'
        : 'no server can be reached'
    if (split)
      return `${leading.map(({ node }) => node).join(' and ')} both lead timeline ${timeline}: they were promoted apart from each other. Stop one, and make it a follower of the other`
    if (first) return `${first.node}, which leads timeline ${timeline}, cannot be reached`
    if (told?.timeline !== timeline) return `no server leads timeline ${timeline}`
    return `no server leads timeline ${timeline}, which ${told.node} leads by the word of the coordinator`
  }
}

function roleOf({ look }: Witness, cluster: string | undefined, leading: readonly Witness[]): Role {
  if (!look || cluster === undefined) return 'unknown'
  if (look.cluster !== cluster) return 'foreign'
  if (look.role === 'follower') return 'follower'
  if (!leading.some((each) => each.look === look)) return 'old leader'
  return leading.length === 1 ? 'leader' : 'unknown'
}

/** Of which most are; if as many are of another, the one that the coordinator knows; undefined if there is none. */
function mostCommon(witnesses: readonly Witness[], said: string | undefined): string | undefined {
  const counts = new Map<string, number>()
  for (const { look } of witnesses) if (look) counts.set(look.cluster, (counts.get(look.cluster) ?? 0) + 1)
  const [first, second] = [...counts].sort(([, a], [, b]) => b - a)
  if (first && first[1] !== second?.[1]) return first[0]
  return said !== undefined && counts.has(said) ? said : undefined
}
