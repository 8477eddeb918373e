/** One of the Server-Sent Events of an answer (WHATWG HTML, 9.2). */
export interface ServerSentEvent {
  id: string | undefined
  /** `message` unless it says otherwise. */
  event: string
  data: string
}

/** Puts the lines of an answer together. An event that has only an id is given too: it says how far the server is. */
export async function* serverSentEvents(
  lines: AsyncIterable<string>,
): AsyncGenerator<ServerSentEvent, void, undefined> {
  let current: { id?: string; event?: string; data: string[] } = { data: [] }
  for await (const line of lines) {
    if (line === '') {
      const { id, event = 'message', data } = current
      if (id !== undefined || data.length > 0) yield { id, event, data: data.join('\n') }
      current = { data: [] }
      continue
    }
    const [, field, value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? []
    if (field === 'id') current.id = value
    else if (field === 'event') current.event = value
    else if (field === 'data') current.data.push(value)
  }
}
