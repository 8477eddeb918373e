import { notCloudEvent } from './attributes.js'
import { checkCloudEvent, type CloudEvent } from './cloud-event.js'
import { firstProblem } from './json-scan.js'

/** Media type of one CloudEvent as JSON. */
export const CLOUDEVENT_JSON = 'application/cloudevents+json'
/** Media type of a list of CloudEvents as JSON. */
export const CLOUDEVENT_BATCH = 'application/cloudevents-batch+json'

/**
 * Reads the JSON of one CloudEvent.
 *
 * @throws `BANYAN_INVALID_EVENT` with the line and column of what is not JSON; for whole numbers that JavaScript cannot hold
 *   exactly; and as `fromCloudEvent` does
 */
export function parseCloudEvent(text: string): CloudEvent {
  return checkCloudEvent(parseJson(text))
}

/**
 * Reads the JSON of a batch: a list of CloudEvents, which may be empty.
 *
 * @throws as {@link parseCloudEvent} does, with the number of the event in the batch, from 0
 */
export function parseCloudEventBatch(text: string): CloudEvent[] {
  const values = parseJson(text)
  if (!Array.isArray(values)) throw notCloudEvent('a batch must be a list of CloudEvents')
  return values.map((value, index) => {
    try {
      return checkCloudEvent(value)
    } catch (error) {
      throw notCloudEvent(`event ${index} of the batch: ${(error as Error).message}`, error)
    }
  })
}

/** Only a number of this many digits may be more than JavaScript can hold. */
const LONG_NUMBER = /[^"\d.]\d{16}/

/** Reads any JSON, and refuses what would be read as something else. */
export function parseJson(text: string): unknown {
  let value: unknown
  let failure: unknown
  try {
    value = JSON.parse(text)
    if (!LONG_NUMBER.test(text)) return value
  } catch (error) {
    failure = error
  }
  const problem = firstProblem(text)
  if (problem) throw notCloudEvent(`${problem.message} at ${place(text, problem.at)}`, failure)
  if (failure) throw notCloudEvent(`it is not JSON: ${(failure as Error).message}`, failure)
  return value
}

/** Where in a text, as people count. */
function place(text: string, at: number): string {
  const lines = text.slice(0, at).split('\n')
  const column = lines.at(-1)!.length + 1
  return lines.length === 1 ? `column ${column}` : `line ${lines.length}, column ${column}`
}
