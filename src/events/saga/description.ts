import type { EventLog } from '../log.js'
import { SAGAS, descriptionStream } from './names.js'

interface Described {
  type: 'Described'
  data: { readonly versions: readonly number[] }
}

/** Leaves word of what is run, if what is there says something else. */
export async function describeSaga(log: EventLog, name: string, versions: readonly number[]): Promise<void> {
  const stream = descriptionStream(name)
  const data = { versions: [...versions].sort((a, b) => a - b) }
  for await (const event of log.read<Described>({ stream }, { backwards: true, limit: 1 }))
    if (JSON.stringify(event.data) === JSON.stringify(data)) return
  const result = await log.append({ streams: [{ stream, events: [{ type: 'Described', data }] }] })
  if (result.ok) await log.truncate({ stream, beforeRevision: result.streams[0]!.revision })
}

/** The names of all kinds of sagas that were ever run on a log. */
export async function sagaNames(log: EventLog): Promise<string[]> {
  const names: string[] = []
  for await (const { stream } of log.streams({ category: SAGAS })) names.push(stream.slice(SAGAS.length + 1))
  return names
}
