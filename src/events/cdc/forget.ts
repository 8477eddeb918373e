import type { CaptureSettings } from './options.js'
import { Parking } from './parking.js'
import { StateStream } from './state.js'

/** Forgets state and parked rows; the numbers of snapshots go on, so that no commit is taken for another. */
export async function forget(name: string, { log }: CaptureSettings): Promise<void> {
  const state = await StateStream.load(name, log)
  const { generation } = state.state
  await state.commit([], { generation, phase: 'removed', lsn: '0/0', tables: {} })
  const revision = await log.revision(state.stream)
  if (revision !== 'none')
    await log.truncate({ stream: state.stream, beforeRevision: revision, forget: true })
  await (await Parking.load(name, log)).forget()
}
