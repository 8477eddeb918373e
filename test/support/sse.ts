/** One event of a stream of Server-Sent Events. */
export interface ServerSentEvent {
  id: string | undefined
  event: string
  data: string
}

/** Reads Server-Sent Events as the standard says (WHATWG HTML, 9.2.6); comments come as events named `comment`. */
export async function* serverSentEvents(response: Response): AsyncGenerator<ServerSentEvent> {
  let buffer = ''
  const decoder = new TextDecoder()
  for await (const chunk of response.body!) {
    buffer += decoder.decode(chunk as Uint8Array, { stream: true })
    for (let end = buffer.indexOf('\n\n'); end >= 0; end = buffer.indexOf('\n\n')) {
      yield parse(buffer.slice(0, end))
      buffer = buffer.slice(end + 2)
    }
  }
  if (buffer !== '') throw new Error(`the stream ends in the middle of ${JSON.stringify(buffer)}`)
}

function parse(block: string): ServerSentEvent {
  const event: ServerSentEvent = { id: undefined, event: 'message', data: '' }
  for (const line of block.split('\n')) {
    const [, name, value = ''] = /^([^:]*):? ?(.*)$/.exec(line)!
    if (name === '') event.event = 'comment'
    else if (name === 'id' || name === 'event' || name === 'data') event[name] = value
    else throw new Error(`a field that there is not: ${line}`)
  }
  return event
}
