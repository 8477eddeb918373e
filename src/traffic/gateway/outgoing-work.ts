import type { TraceContext } from '../../core/trace-context.js'
import type { Candidate } from '../balancing/candidate.js'
import type { RequestHead, ResponseHead } from '../http/message.js'
import type { OutgoingRequest } from '../http/upstream/exchange.js'
import type { Call } from '../policy.js'

/**
 * What a service works for: a client's request on its way (`Forwarding`), or one of our own (`subrequest`). The
 * `subject` of every call that a service gets; what its policies, endpoints and tries may rely on.
 */
export interface OutgoingWork {
  /** What is asked for. Its target and host are those the asker used; a route may have rewritten them since. */
  readonly request: RequestHead
  /** Path and query as the service gets to see them. */
  readonly target: string
  /** Address of the client it is done for. */
  readonly clientAddress: string
  /** Whether it is a call of gRPC, which has ways of its own to tell of deadlines, tries and failures. */
  readonly grpc: boolean
  /** When the caller stops waiting, in ms on the scale of the clock, as it says itself; `Infinity` if it does not. */
  readonly callerDeadline: number
  /** Whether doing it twice does no harm. */
  readonly idempotent: boolean
  /** Whether another try could send the whole body again. */
  readonly replayable: boolean
  /** Whether another try is harmless and possible. */
  readonly repeatable: boolean
  /** The endpoint of the last try; the next one prefers another. */
  last: Candidate | undefined
  /** What became of the last try, if it failed. */
  failure: unknown
  /**
   * A field of the request as the service gets it.
   *
   * @param lower - the name in lower case
   */
  sent(lower: string): string | undefined
  /** Tries made so far. */
  tries: number
  /** The span that its tries are part of; `undefined` if nobody traces. */
  readonly trace: TraceContext | undefined
  /**
   * The request as one try sends it.
   *
   * @param trace - the span of the try, for the service to go on from
   */
  outgoing(call: Call, trace: TraceContext | undefined): OutgoingRequest
  /** An answer before the answer: 100, 103. */
  interim(head: ResponseHead): void
}
