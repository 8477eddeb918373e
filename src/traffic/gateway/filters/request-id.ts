import { randomUUID } from 'node:crypto'
import { defineFilter, type Filter, type RouteContext } from '../filter.js'
import type { Forwarding } from '../forwarding.js'
import type { RequestIdSpec } from './request-id/spec.js'

/** An id may be what stands in logs without harm. */
const VALID = /^[\w.:+=@/-]{1,128}$/

/** Tells the service and the client one id for each request, so that their logs can be joined. */
export function requestId(spec: RequestIdSpec | true, { route }: RouteContext): Filter {
  const { header = 'X-Request-Id', keep = false } = spec === true ? {} : spec
  const lower = header.toLowerCase()
  const idOf = ({ exchange }: Forwarding): string => {
    const given = keep ? exchange.request.fields.get(lower) : undefined
    return given !== undefined && VALID.test(given) ? given : randomUUID()
  }
  return defineFilter(`${route} request id`, async (forwarding, next) => {
    const id = idOf(forwarding)
    forwarding.requestId = id
    forwarding.setField(header, id)
    forwarding.problemFields = [...(forwarding.problemFields ?? []), [header, id]]
    const answer = await next()
    answer.fields.delete(lower)
    answer.fields.append(header, id)
    return answer
  })
}
