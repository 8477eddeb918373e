import { problem } from './problem.js'

export const BATCH = 'application/cloudevents-batch+json'
export const JSON_TYPE = 'application/json'
export const NDJSON = 'application/x-ndjson'
export const SSE = 'text/event-stream'

/** What an answer with events can look like; the first is for those who take anything. */
const OFFERED = [BATCH, JSON_TYPE, NDJSON, SSE] as const

export type EventsType = (typeof OFFERED)[number]

/**
 * The form in which a client wants events (RFC 9110 12.5.1): of those it takes, the one it likes best.
 *
 * @throws a problem of 406
 */
export function chooseType(accept: string | undefined): EventsType {
  if (accept === undefined || accept.trim() === '') return BATCH
  const ranges = accept.split(',').map((range) => {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
    const q = parameters.find((parameter) => parameter.startsWith('q='))
    return { type, q: q === undefined ? 1 : Number(q.slice(2)) }
  })
  // The most specific range that fits says how much a type is liked.
  const liking = (type: string): number => {
    const fitting = [type, `${type.split('/')[0]!}/*`, '*/*']
    for (const each of fitting) {
      const range = ranges.find((candidate) => candidate.type === each)
      if (range) return range.q
    }
    return 0
  }
  let best: EventsType | undefined
  for (const type of OFFERED) if (liking(type) > (best ? liking(best) : 0)) best = type
  if (best) return best
  throw problem(406, 'not-acceptable', `Events are given as ${OFFERED.join(', ')}.`)
}
