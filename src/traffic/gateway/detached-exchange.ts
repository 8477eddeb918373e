import { Body } from '../http/body.js'
import type { Answer, Client, Exchange } from '../http/exchange.js'
import type { RequestHead } from '../http/message.js'

/** A request that nobody waits for, made again from one of a client's. It has no body. */
export class DetachedExchange implements Exchange {
  readonly request: RequestHead
  readonly client: Client
  readonly body: Body = Body.of(Buffer.alloc(0))
  readonly aborted = false
  readonly refused = undefined
  onAbort: (() => void) | undefined = undefined
  onDone: ((bytes: number, error: Error | undefined) => void) | undefined = undefined

  constructor(request: RequestHead, client: Client) {
    this.request = request
    // Not the connection itself, which this may outlive.
    this.client = { remoteAddress: client.remoteAddress, tls: client.tls, forwarded: undefined }
  }

  waitForClient(): void {
    // All of it is here.
  }

  interim(): void {
    // Nobody waits for news.
  }

  respond(answer: Answer): void {
    answer.body?.discard()
  }

  respondWith(): void {
    // Nobody waits for an answer.
  }

  switchTo(): never {
    throw new Error('unreachable: a detached request offers no other protocol')
  }
}
