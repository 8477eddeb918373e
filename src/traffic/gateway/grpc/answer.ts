import { Body, type BodySink } from '../../http/body.js'
import type { Answer } from '../../http/exchange.js'
import { Fields } from '../../http/fields.js'
import type { ResponseHead } from '../../http/message.js'
import type { ClientProblem } from '../problems.js'
import { codeIn, encodeMessage, grpcCodeOf, isGrpc } from './status.js'

/** Whether this is the head of an answer of gRPC, and not of something on the way that speaks HTTP only. */
export function isGrpcAnswer(head: ResponseHead): boolean {
  return head.status === 200 && isGrpc(head.fields)
}

/** The code of an answer whose end is here: in its trailers, or in its head where it has nothing else. */
export function finalCode(head: ResponseHead, body: Body): number {
  return codeIn(body.trailers ?? head.fields)
}

/** How a call ends. */
export interface Ending {
  code: number
  /** For people. */
  message: string
}

/**
 * The body of an answer that ends with a status whatever happens: where the endpoint breaks off, the caller is told so
 * in trailers instead of by a reset that says little.
 *
 * @param broken - says how the call ends then
 * @param ended - gets the code in any case, before the end is passed on
 */
export function withStatus(body: Body, broken: () => Ending, ended: (code: number) => void): Body {
  let full = false
  const relay = new Body(undefined, {
    pause() {
      full = true
    },
    resume() {
      full = false
      body.resume()
    },
  })
  const sink: BodySink = {
    write(data) {
      relay.push(data)
      return !full
    },
    end(trailers) {
      ended(codeIn(trailers))
      relay.finish(trailers)
    },
    fail() {
      const ending = broken()
      ended(ending.code)
      relay.finish(Fields.of(statusFields(ending)))
    },
  }
  body.pipe(sink)
  return relay
}

/** A problem of the gateway's own, as a caller of gRPC understands it: an answer of trailers only. */
export function grpcProblem(
  { status, detail, retryAfter }: ClientProblem,
  more: readonly (readonly [string, string])[],
): Answer {
  const fields: (readonly [string, string])[] = [
    ['content-type', 'application/grpc'],
    ...statusFields({ code: grpcCodeOf(status), message: detail }),
  ]
  if (retryAfter !== undefined) fields.push(['grpc-retry-pushback-ms', String(Math.ceil(retryAfter))])
  const text = [...fields, ...more].map(([name, value]) => `${name}: ${value}\r\n`)
  return { status: 200, fields: text.join(''), body: undefined }
}

function statusFields({ code, message }: Ending): [string, string][] {
  return [
    ['grpc-status', String(code)],
    ['grpc-message', encodeMessage(message)],
  ]
}
