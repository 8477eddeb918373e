import type { Clock } from '../../core/clock.js'
import { parseTraceContext } from '../../core/trace-context.js'
import type { RequestReport } from '../../traffic/gateway/index.js'
import { Redaction } from './redaction.js'
import { ACCESS_FIELDS, type AccessField, type AccessLogSpec } from './spec.js'

/** The value of a field as JSON; `undefined` for a line without it. */
type Reader = (report: RequestReport) => string | undefined

/** Longest text that a client decides on, in characters. */
const MOST_TEXT = 2_048

/**
 * Makes what writes the line of a request, with its line break.
 *
 * Every value that a client decides on is written as a JSON string of bounded length, so that no request can forge a
 * line or make one endless.
 */
export function lineWriter(spec: AccessLogSpec, clock: Clock): (report: RequestReport) => string {
  const readers = readersOf(spec, clock)
  const wanted = ACCESS_FIELDS.filter((field) => spec.fields?.includes(field) ?? true)
  const parts = wanted.map((field) => ({ prefix: `"${field}":`, read: readers[field] }))
  return (report) => {
    let line = ''
    for (const { prefix, read } of parts) {
      const value = read(report)
      if (value !== undefined) line += (line === '' ? '{' : ',') + prefix + value
    }
    return line === '' ? '{}\n' : `${line}}\n`
  }
}

function readersOf(spec: AccessLogSpec, clock: Clock): Record<AccessField, Reader> {
  const { parameters = [], redact = [], headers = [] } = spec
  const redaction = new Redaction(redact, parameters)
  const time = timeWriter()
  const names = headers.map((name) => name.toLowerCase())
  return {
    time: ({ startedAt }) => time(clock.wall() - (clock.now() - startedAt)),
    requestId: ({ forwarding }) => text(forwarding?.requestId),
    traceId: (report) => text(report.span?.context.traceId ?? traceOf(report)),
    spanId: ({ span }) => text(span?.context.spanId),
    client: ({ forwarding, exchange }) => text(forwarding?.clientAddress ?? exchange.client.remoteAddress),
    subject: ({ forwarding }) => text(forwarding?.identity?.subject),
    method: ({ exchange }) => text(exchange.request.method),
    host: ({ exchange }) => text(exchange.request.host),
    path: ({ exchange: { request } }) => {
      const end = request.target.indexOf('?')
      return text(end < 0 ? request.target : request.target.slice(0, end))
    },
    query: ({ exchange: { request } }) => {
      const start = request.target.indexOf('?')
      return start < 0 ? undefined : text(redaction.query(request.target.slice(start)))
    },
    protocol: ({ exchange: { request } }) => (request.major === 2 ? '"HTTP/2"' : `"HTTP/1.${request.minor}"`),
    tls: ({ exchange }) => text(exchange.client.tls?.version),
    route: ({ route }) => text(route?.name),
    service: ({ service }) => text(service?.name),
    endpoint: ({ forwarding }) => text((forwarding?.last as { url?: string } | undefined)?.url),
    tries: ({ tries }) => String(tries),
    status: ({ status }) => String(status),
    problem: ({ reason }) => text(reason),
    error: ({ errorType }) => text(errorType),
    aborted: ({ aborted }) => (aborted ? 'true' : undefined),
    bytesIn: ({ exchange }) => String(exchange.body.received),
    bytesOut: ({ bytesSent }) => String(bytesSent),
    duration: ({ startedAt, endedAt }) => ms(endedAt - startedAt),
    firstByte: ({ startedAt, headAt }) => (headAt === 0 ? undefined : ms(headAt - startedAt)),
    userAgent: ({ exchange }) => text(exchange.request.fields.get('user-agent')),
    headers: ({ exchange }) => {
      if (names.length === 0) return undefined
      const found = names.flatMap((name) => {
        const value = exchange.request.fields.get(name)
        return value === undefined ? [] : [`${JSON.stringify(name)}:${text(redaction.header(name, value))!}`]
      })
      return `{${found.join(',')}}`
    },
  }
}

/** The trace that the client says the request belongs to. */
function traceOf({ exchange }: RequestReport): string | undefined {
  return parseTraceContext(exchange.request.fields.get('traceparent'))?.traceId
}

/** Text that stands in JSON as it is, which nearly all of it does. */
const PLAIN = /^[ !#-[\]-~]*$/

function text(value: string | undefined): string | undefined {
  if (value === undefined) return undefined
  const short = value.length > MOST_TEXT ? `${value.slice(0, MOST_TEXT)}...` : value
  return PLAIN.test(short) ? `"${short}"` : JSON.stringify(short)
}

/** Writes points in time as JSON; the date is only worked out once a second. */
function timeWriter(): (wall: number) => string {
  let second = NaN
  let prefix = ''
  return (wall) => {
    const now = Math.floor(wall / 1000)
    if (now !== second) {
      second = now
      prefix = `"${new Date(now * 1000).toISOString().slice(0, -4)}`
    }
    return `${prefix}${String(Math.floor(wall - now * 1000)).padStart(3, '0')}Z"`
  }
}

/** Milliseconds to a hundredth. */
function ms(value: number): string {
  return String(Math.round(value * 100) / 100)
}
