import { formatTraceparent, type TraceContext } from '../../../core/trace-context.js'

/** Lines that tell the next hop of a span, with CRLF. */
export function traceText(context: TraceContext): string {
  const state = context.state === undefined ? '' : `tracestate: ${context.state}\r\n`
  return `traceparent: ${formatTraceparent(context)}\r\n${state}`
}
