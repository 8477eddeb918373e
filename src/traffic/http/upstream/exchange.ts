import type { Socket } from 'node:net'
import type { UpstreamError } from '../../errors.js'
import type { Body } from '../body.js'
import type { Framing } from '../framing.js'
import type { ResponseHead } from '../message.js'

/** A request as it goes out, whatever the version of HTTP that the endpoint speaks. */
export interface OutgoingRequest {
  readonly method: string
  /** Path and query, or `*`. */
  readonly target: string
  readonly host: string
  /** Fields as text, each line with its CRLF; nothing about framing or the connection. */
  readonly fields: string
  /** How long the body is. */
  readonly framing: Framing
  readonly body: Body | undefined
  /** The protocols it offers to switch to; a 101 to another one is an error. */
  readonly upgrade: string | undefined
  /** Whether whoever asks takes trailers. */
  readonly trailers: boolean
  /** How long the endpoint may send nothing while it owes bytes, in ms. Default: what is said of the endpoint. */
  readonly idleTimeout?: number | undefined
}

/** Who waits for the answer. Gets `onHead` or `onError`, once, unless the exchange is aborted. */
export interface AnswerReceiver {
  /** An answer before the answer: 100, 103. */
  onInterim(head: ResponseHead): void
  /** The answer's head; the body follows by itself. For a 101 the connection is the receiver's from now on. */
  onHead(head: ResponseHead, body: Body): void
  onError(error: UpstreamError): void
}

/** The way to an endpoint for one exchange: a connection of HTTP/1 for as long as that takes, or a stream of HTTP/2. */
export interface UpstreamChannel {
  /** Whether the endpoint may have closed it while a request was on its way. */
  readonly reused: boolean
  /** True if not one byte of an answer has come: a used connection that closes now was most likely closed before we sent. */
  readonly silent: boolean
  /** What remains after a 101. */
  readonly socket: Socket | undefined
  /** Sends the request. May be called once. */
  send(request: OutgoingRequest, receiver: AnswerReceiver): void
  /** Gives the exchange of `receiver` up, if it is still under way, and lets the endpoint know. */
  abort(receiver: AnswerReceiver): void
  /** Gives it back without a request. */
  giveBack(): void
}

/** Why a connection to an endpoint was closed. */
export type CloseReason =
  /** Nobody has used it for long. */
  | 'idle'
  /** It was as old as a connection may get. */
  | 'age'
  /** It has carried as many requests as a connection may. */
  | 'requests'
  /** The endpoint closed it, or said that it would. */
  | 'endpoint'
  /** It broke, or the endpoint broke the protocol or was silent for too long. */
  | 'error'
  /** An exchange was given up, which HTTP/1 can only say that way. */
  | 'aborted'
  /** It went on with another protocol. */
  | 'upgrade'
  /** The endpoint was taken out, or the gateway stops. */
  | 'shutdown'
