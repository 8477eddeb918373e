// @ts-check

/** The event log as the services of the shop see it: through the gateway, with a key. */

const { GATEWAY: gateway = '', EVENTS_KEY: key = '' } = process.env

/**
 * Appends an event. The same id again changes nothing: it is safe to repeat.
 *
 * @param {string} stream
 * @param {{ id: string, type: string, data: unknown }} event
 * @param {string} expected `none`, or the revision that the stream must be at
 * @returns {Promise<'appended' | 'known' | 'conflict'>} whether it is new; whether others have come before
 */
export async function append(stream, { id, type, data }, expected) {
  const answer = await fetch(`${gateway}/events/streams/${encodeURIComponent(stream)}`, {
    method: 'POST',
    headers: {
      'X-Api-Key': key,
      'Expected-Revision': expected,
      'Content-Type': 'application/json',
      'Ce-Specversion': '1.0',
      'Ce-Id': id,
      'Ce-Source': '/shop',
      'Ce-Type': type,
    },
    body: JSON.stringify(data),
  })
  const text = await answer.text()
  if (answer.status === 201) return 'appended'
  if (answer.status === 200) return 'known'
  if (answer.status === 409) return 'conflict'
  throw new Error(`the event log answers ${answer.status}: ${text}`)
}

/**
 * The events of a stream.
 *
 * @param {string} stream
 * @returns {Promise<Event[]>}
 */
export async function read(stream) {
  const answer = await fetch(`${gateway}/events/streams/${encodeURIComponent(stream)}`, {
    headers: { 'X-Api-Key': key },
  })
  if (!answer.ok) throw new Error(`the event log answers ${answer.status}: ${await answer.text()}`)
  return /** @type {Promise<Event[]>} */ (answer.json())
}

/**
 * What has happened and what happens, until the connection ends.
 *
 * @param {string} query which events
 * @param {string} position after which
 * @returns {AsyncGenerator<{ position: string, event: Event | undefined }>} a position without an event is as good to go on from
 */
export async function* follow(query, position) {
  const answer = await fetch(`${gateway}/events?${query}`, {
    headers: { 'X-Api-Key': key, Accept: 'text/event-stream', 'Last-Event-ID': position },
  })
  if (!answer.ok || !answer.body)
    throw new Error(`the event log answers ${answer.status}: ${await answer.text()}`)
  let text = ''
  for await (const part of answer.body.pipeThrough(new TextDecoderStream())) {
    text += part
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const block = text.slice(0, end)
      text = text.slice(end + 2)
      const id = /^id: (.*)$/m.exec(block)?.[1]
      if (id === undefined) continue
      const data = /^event:/m.test(block) ? undefined : /^data: (.*)$/m.exec(block)?.[1]
      yield { position: id, event: data === undefined ? undefined : JSON.parse(data) }
    }
  }
}

/**
 * A CloudEvent; `banyanstream` and `banyanrevision` say where it is.
 *
 * @typedef {{ id: string, type: string, time: string, data: any, banyanstream: string, banyanrevision: number }} Event
 */
