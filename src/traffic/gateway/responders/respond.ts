import type { RouteContext } from '../filter.js'
import { fixedAnswer, type FixedAnswerSpec } from '../fixed-answer.js'
import type { Responder } from '../responder.js'
import { httpDate } from '../semantics/date.js'

/** Answers every request in the same way. */
export function respond(spec: FixedAnswerSpec, { runtime }: RouteContext): Responder {
  const make = fixedAnswer(spec)
  return () => {
    const answer = make()
    if (answer.fields.get('date') === undefined) answer.fields.append('Date', httpDate(runtime.clock.wall()))
    return Promise.resolve(answer)
  }
}
