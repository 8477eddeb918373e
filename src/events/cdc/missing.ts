import type { EventLog } from '../log.js'
import { changeOf, type RowChange, type ChangeMetadata } from './change.js'
import type { Binding } from './mapping.js'
import { deletionOf, type ChangeOfLog, type Work } from './work.js'

/** Events of one look into a stream whose newest are not of the capture. */
const PAGE = 100

/** Whether the log has rows of a topic, or had. */
export async function hasRows(log: EventLog, topic: string): Promise<boolean> {
  for await (const { stream } of log.streams({ category: topic, limit: 2 })) if (stream !== topic) return true
  return false
}

/**
 * Deletes rows that the log has and the table has not. What was told before is looked up in the stream of each row: that needs
 * no memory, and may be done again after a crash.
 *
 * @param isThere - whether the newest change of a row shows that the table has it
 * @param flush - appends what has come together
 */
export async function deleteMissing(
  { settings, parking, intake, signal, measure }: Work,
  binding: Binding,
  at: Pick<RowChange, 'lsn' | 'xid' | 'committed' | 'generation' | 'table'>,
  isThere: (last: ChangeOfLog) => boolean,
  flush: () => Promise<void>,
): Promise<void> {
  const { log, name } = settings
  const { topic } = binding
  const remove = async (last: ChangeOfLog): Promise<void> => {
    if (last.operation === 'delete' || isThere(last)) return
    intake.add(binding, deletionOf(last, at), 100)
    intake.finish()
    if (!intake.isFull) return
    await measure()
    await flush()
  }
  // Those that wait may have nothing in the log yet; what waits for the whole topic has no key to be told by.
  const waiting = [...parking.waiting(binding.name)].filter(({ stream }) => stream !== topic)
  for (const { last } of waiting) await remove(last)
  const seen = new Set(waiting.map(({ stream }) => stream))
  for await (const { stream } of log.streams({ category: topic, signal })) {
    if (stream === topic || seen.has(stream)) continue
    const last = await lastChange(log, stream, name)
    if (last) await remove(last)
  }
  await flush()
}

/** The newest change that a capture has told of in a stream. */
async function lastChange(
  log: EventLog,
  stream: string,
  source: string,
): Promise<ChangeMetadata | undefined> {
  let looked = 0
  const limit = { backwards: true, limit: 1 }
  for await (const event of log.read({ stream }, limit)) {
    looked++
    const change = changeOf(event)
    if (change?.source === source) return change
  }
  if (looked === 0) return undefined
  for await (const event of log.read({ stream }, { ...limit, limit: PAGE })) {
    const change = changeOf(event)
    if (change?.source === source) return change
  }
  return undefined
}
