import type { Duplex } from 'node:stream'
import type { Body } from './body.js'
import type { Fields } from './fields.js'
import type { RequestHead } from './message.js'

/** The other end of a client's connection. */
export interface Client {
  /** IP address of the peer. */
  readonly remoteAddress: string
  /** What TLS has established; `undefined` on a plain connection. */
  readonly tls: ClientTls | undefined
  /** What a forwarder says about this client; the same for every request to the same host. */
  forwarded: { readonly host: string; readonly text: string } | undefined
}

/** What is known of a client's TLS connection. */
export interface ClientTls {
  /** The name asked for by SNI. */
  readonly serverName: string | undefined
  /** `TLSv1.2`, `TLSv1.3`. */
  readonly version?: string | undefined
  /** The certificate that the client has proved to own, if it was asked for one and its CA is trusted. */
  readonly certificate: ClientCertificate | undefined
  /** What services are told about the certificate: fields as text, each line with its CRLF. Default: nothing. */
  readonly fields?: string
}

/** A verified client certificate. */
export interface ClientCertificate {
  /** Distinguished name, `CN=a,O=b`. */
  readonly subject: string
  /** Subject alternative names, `DNS:a.example`, `URI:spiffe://...`. */
  readonly alternativeNames: readonly string[]
  /** SHA-256 of the certificate, in hexadecimal without colons. */
  readonly fingerprint: string
}

/** What the answer to a request says before its body. */
export interface Answer {
  status: number
  /** Default: the standard phrase. */
  reason?: string
  /** Fields as text, each line with its CRLF; nothing about framing or the connection. */
  fields: string
  /** The body; `undefined` for none. */
  body: Body | undefined
  /** What to say as Content-Length where no body follows: the answer to a HEAD, or 304. */
  statedLength?: number | undefined
  /** Filters the trailers; without it there are none. */
  trailers?: ((trailers: Fields | undefined) => Fields | undefined) | undefined
  /** Whether what is still to come of the request is being read by somebody, so that the connection can go on after it. */
  takesRest?: boolean
}

/** One request and its answer, whatever the version of HTTP it came in. */
export interface Exchange {
  readonly request: RequestHead
  readonly body: Body
  readonly client: Client
  /** True once the client has gone. */
  readonly aborted: boolean
  /** Status of the answer to a request that turned out not to be valid after it was handed over. */
  readonly refused: number | undefined
  /** Called once, when the client goes before its answer is complete. */
  onAbort: (() => void) | undefined
  /**
   * Called once when all is over: the answer was handed to the connection in full, or never will be; after a switch of
   * protocols, when the connection has closed. Every version of HTTP must keep this, as what is counted, traced and
   * logged of a request waits for it.
   *
   * @param bytes - sent to the client: the answer's body without framing, or what was said after a switch
   * @param error - why the answer is not complete; `aborted` tells whether it was the client
   */
  onDone: ((bytes: number, error: Error | undefined) => void) | undefined
  /** Lets the client be silent in the middle of its body for as long as it likes, as in a stream of messages. */
  waitForClient(): void
  /** Sends an interim answer (100, 103) before the real one. */
  interim(status: number, reason: string, fields: string): void
  /** Sends the answer; its body flows as fast as the client takes it. May be called once. */
  respond(answer: Answer): void
  /** Answers with a whole body. */
  respondWith(status: number, fields: readonly (readonly [string, string])[], data: Buffer): void
  /**
   * Agrees to the switch of protocols that the request offers. May be called instead of `respond`.
   *
   * @param fields - of the answer, as text, each line with its CRLF
   * @param protocol - what is spoken from now on
   * @returns what remains of the client: bytes both ways, with those that it has sent already
   */
  switchTo(protocol: string, fields: string): { stream: Duplex; early: Buffer | undefined }
}
