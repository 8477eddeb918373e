import type { RowChange } from './change.js'
import { lastChange } from './in-log.js'
import type { Binding } from './mapping.js'
import { deletionOf, type ChangeOfLog, type Work } from './work.js'

/**
 * Deletes rows that the log has and the table has not. What was told before is looked up in the stream of each row: that needs
 * no memory, and may be done again after a crash.
 *
 * @param isThere - whether the newest change of a row shows that the table has it
 * @param flush - appends what has come together
 */
export async function deleteMissing(
  { settings, parking, intake, instruments, signal, measure }: Work,
  binding: Binding,
  at: Pick<RowChange, 'lsn' | 'xid' | 'committed' | 'generation' | 'table'>,
  isThere: (last: ChangeOfLog) => boolean,
  flush: () => Promise<void>,
): Promise<void> {
  const { log, name } = settings
  const { topic } = binding
  if (at.xid === undefined && parking.lastOf(topic)) {
    // Rows whose key cannot be told may be any of them.
    instruments.log(
      'warn',
      `what ${binding.name} has no more is not deleted, as rows without a key are parked: retry them, then resnapshot`,
    )
    return
  }
  const remove = async (last: ChangeOfLog): Promise<void> => {
    if (last.operation === 'delete' || isThere(last)) return
    intake.add(binding, deletionOf(last, at), 100)
    intake.finish()
    if (!intake.isFull) return
    await measure()
    await flush()
  }
  // Those that wait may have nothing in the log yet; what waits for the whole topic has no key to be told by.
  const waiting = [...parking.waiting(topic)]
  for (const { last } of waiting) await remove(last)
  const seen = new Set(waiting.map(({ stream }) => stream))
  for await (const { stream } of log.streams({ category: topic, signal })) {
    if (stream === topic || seen.has(stream)) continue
    const last = await lastChange(log, stream, name)
    if (last) await remove(last)
  }
  await flush()
}
