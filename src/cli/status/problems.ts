import { formatDuration } from '../../core/duration.js'
import type { NodeState } from '../../node/node.js'
import type { LastProblem } from '../../traffic/gateway/index.js'
import { paint } from '../paint.js'

/** What went wrong last, the latest first: how long ago, where, what. */
export function lastProblems({ services, routes }: NodeState, wall: number): string[][] {
  const found: { where: string; problem: LastProblem }[] = []
  const add = (where: string, problem: LastProblem | undefined): void => {
    if (problem) found.push({ where, problem })
  }
  for (const [name, { lastProblem }] of Object.entries(routes)) add(`route ${name}`, lastProblem)
  for (const { endpoints } of Object.values(services))
    for (const { url, lastProblem } of endpoints) add(url.replace(/^http:\/\//, ''), lastProblem)
  found.sort((a, b) => b.problem.at - a.problem.at)
  return found.map(({ where, problem: { at, reason, message } }) => [
    formatDuration(Math.max(0, wall - at)),
    where,
    `${paint('yellow', reason)}${message === undefined ? '' : `: ${message}`}`,
  ])
}
