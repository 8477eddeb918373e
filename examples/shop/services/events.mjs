// @ts-check

/** The event log over HTTP, through the gateway, with a key: as any language can have it. */

const { GATEWAY: gateway = '', EVENTS_KEY: key = '' } = process.env

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
 * A CloudEvent; `banyanstream` says whose history it is of.
 *
 * @typedef {{ id: string, type: string, time: string, data: any, banyanstream: string }} Event
 */
