import type { Telemetry } from '../../core/telemetry.js'
import type { ReplicasState, ReplicaState } from './state.js'

/**
 * Shows how servers are, by `banyan.replicas` and, but for the first, `banyan.replicas.node`; in the place of others of that name.
 *
 * | gauge | unit | meaning |
 * |---|---|---|
 * | `banyan.replicas.leader` | `1` | whether it has a leader that takes writes |
 * | `banyan.replicas.healthy` | `1` | whether a server is used |
 * | `banyan.replicas.lag` | `s` | how long ago the leader had what a follower lacks; infinite if that is not known |
 * | `banyan.replicas.lag.bytes` | `By` | how much a follower lacks |
 *
 * @returns takes them away
 */
export function showReplicas(
  telemetry: Telemetry,
  name: string,
  nodes: readonly string[],
  state: () => ReplicasState,
): () => void {
  const gauge = (
    metric: string,
    unit: string,
    description: string,
    node: string,
    read: (state: ReplicaState | undefined) => number,
  ): (() => void) => {
    const attributes = { 'banyan.replicas': name, 'banyan.replicas.node': node }
    return telemetry.gauge(`banyan.replicas.${metric}`, { description, unit, attributes }, () =>
      read(state().nodes.find((each) => each.node === node)),
    )
  }
  const hides = [
    telemetry.gauge(
      'banyan.replicas.leader',
      {
        description: 'Whether it has a leader that takes writes.',
        unit: '1',
        attributes: { 'banyan.replicas': name },
      },
      () => (state().leader === undefined ? 0 : 1),
    ),
    ...nodes.flatMap((node) => [
      gauge('healthy', '1', 'Whether a server is used.', node, (is) => (is?.healthy ? 1 : 0)),
      gauge(
        'lag',
        's',
        'How long ago the leader had what a follower lacks; infinite if that is not known.',
        node,
        (is) => (is?.role === 'leader' ? 0 : (is?.lagMs ?? Infinity) / 1000),
      ),
      gauge('lag.bytes', 'By', 'How much of the leader a follower lacks.', node, (is) => is?.lagBytes ?? 0),
    ]),
  ]
  return () => {
    for (const hide of hides) hide()
  }
}
