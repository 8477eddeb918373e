import type { EventLog } from '../log.js'
import { isSystemStream } from '../transform.js'

/** What of a log is asked over HTTP. */
export type OfferedLog = Pick<EventLog, 'append' | 'head' | 'revision' | 'read' | 'follow'>

/** A log without the streams that Banyan keeps for itself: who works on which subscription is nobody's business. */
export function withoutSystemStreams(log: EventLog): OfferedLog {
  return {
    append: (commit) => log.append(commit),
    head: () => log.head(),
    revision: (stream) => log.revision(stream),
    async *read(selector, { limit = Infinity, ...part } = {}) {
      let count = 0
      for await (const event of log.read(selector, part)) {
        if (isSystemStream(event.stream)) continue
        yield event as never
        if (++count >= limit) return
      }
    },
    async *follow(selector, options) {
      for await (const batch of log.follow(selector, options)) {
        const events = batch.events.filter(({ stream }) => !isSystemStream(stream))
        yield { ...batch, events } as never
      }
    },
  }
}
