import type { Coordinator } from '../coordinator.js'
import { historyKeyOf } from './history.js'

/**
 * Forgets the past of an election that nobody takes part in any more, for operators; otherwise its last terms are kept for ever.
 * Who still takes part in it is not disturbed, and makes it known again.
 *
 * @throws `BANYAN_INVALID_KEY`; what `delete` of the coordinator throws
 */
export async function removeElection(coordinator: Coordinator, name: string): Promise<void> {
  await coordinator.delete(historyKeyOf(name))
}
