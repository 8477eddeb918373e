import type { Condition, ConditionStatus, EntryStatus, NodeReport } from './status.js'

/** The worse, the higher. */
const WORSE: Readonly<Record<ConditionStatus, number>> = { True: 0, Unknown: 1, False: 2 }

/** What is true of a node without a process. */
const GONE = {
  status: 'Unknown',
  reason: 'NodeGone',
  message: 'no process has had this name since it was last seen',
} as const

/**
 * A status with what one node has to say. What is true of all is what the node says that is worst off; a node that has not looked at
 * the present generation yet does not know.
 *
 * @param generation - of the resource
 * @param nodes - those that there are; what others once said is forgotten
 * @param now - RFC 3339
 */
export function mergedStatus(
  before: EntryStatus | undefined,
  report: NodeReport,
  { generation, nodes, now }: { generation: number; nodes: ReadonlySet<string>; now: string },
): EntryStatus {
  const others = (before?.nodes ?? []).filter(({ name }) => name !== report.name && nodes.has(name))
  const reports = [...others, report].sort((a, b) => (a.name < b.name ? -1 : 1))
  const types = [...new Set(report.conditions.map(({ type }) => type))]
  return {
    observedGeneration: Math.min(...reports.map(({ observedGeneration }) => observedGeneration)),
    conditions: types.map((type) => {
      const condition = worst(type, reports, generation)
      const was = before?.conditions?.find((each) => each.type === type)
      const lastTransitionTime = was?.status === condition.status ? was.lastTransitionTime : now
      return { ...condition, observedGeneration: generation, lastTransitionTime }
    }),
    nodes: reports,
  }
}

/**
 * A status of the resource of a node that has no process any more. Who of many looks, and how often, makes no difference.
 *
 * @param now - RFC 3339
 */
export function goneStatus(before: EntryStatus, now: string): EntryStatus {
  return {
    ...before,
    conditions: (before.conditions ?? []).map((was) => ({
      ...was,
      ...GONE,
      lastTransitionTime: was.status === GONE.status ? was.lastTransitionTime : now,
    })),
    nodes: [],
  }
}

function worst(
  type: string,
  reports: readonly NodeReport[],
  generation: number,
): Pick<Condition, 'type' | 'status' | 'reason' | 'message'> {
  const said = reports.map(({ name, observedGeneration, conditions }) => {
    const condition = conditions.find((each) => each.type === type)
    if (condition && observedGeneration >= generation) return { name, ...condition }
    const message = `it has not looked at generation ${generation} yet`
    return { name, type, status: 'Unknown' as const, reason: 'Pending', message }
  })
  const [first] = said.toSorted((a, b) => WORSE[b.status] - WORSE[a.status])
  const { name, ...condition } = first!
  const isOfAll = said.every(({ status, message }) => status === first!.status && message === first!.message)
  return isOfAll ? condition : { ...condition, message: `${name}: ${condition.message}` }
}
