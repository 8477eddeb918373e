import type { HostedReplicasState } from '../../node/replicas/state.js'
import { lines, redrawn } from '../coordination/look.js'
import { interruptible, lineWidth, note } from '../output.js'
import { NodeReplicas, type ReplicasOptions } from './node-replicas.js'
import { replicasPage, replicasTable } from './table.js'

const NOTHING = 'no replicas'

/** `banyan replicas`: ends with 1 if something is wrong. */
export function list(name: string | undefined, options: ReplicasOptions): Promise<void> {
  const shown = (all: readonly HostedReplicasState[]): unknown =>
    name === undefined ? { replicas: all } : (all[0] ?? {})
  return look(name, options, shown, (all) => (all.length === 0 ? NOTHING : replicasTable(all, lineWidth())))
}

/** `banyan replicas show`. */
export function show(name: string, options: ReplicasOptions): Promise<void> {
  return look(
    name,
    options,
    ([one]) => one ?? {},
    ([one]) => (one ? replicasPage(one, lineWidth()) : `${name} is gone`),
  )
}

async function look(
  name: string | undefined,
  { admin, json, watch }: ReplicasOptions,
  shown: (all: readonly HostedReplicasState[]) => unknown,
  text: (all: readonly HostedReplicasState[]) => string,
): Promise<void> {
  const node = new NodeReplicas(admin)
  await interruptible(async (output, signal) => {
    if (watch) {
      const seen = node.follow(name, signal)
      if (json) await lines(seen, (all) => JSON.stringify(shown(all)), output)
      else if (process.stdout.isTTY) await redrawn(seen, text, signal)
      else await lines(seen, text, output)
      return
    }
    const all = name === undefined ? await node.list() : [await node.show(name)]
    if (all.some(isWrong)) process.exitCode = 1
    if (json) output.json(shown(all))
    else if (all.length === 0) note(NOTHING)
    else output.add(text(all))
  }, watch === true)
}

function isWrong(each: HostedReplicasState): boolean {
  if (each.problem !== undefined) return true
  return each.kind === 'database' && each.nodes.some(({ problem }) => problem !== undefined)
}
