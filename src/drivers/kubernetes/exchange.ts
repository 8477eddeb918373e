import { request as requestHttp, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { Clock } from '../../core/clock.js'

/** A dead connection that nothing is sent on is found out after this time. */
const KEEP_ALIVE_MS = 30_000

/** No answer, or not all of it. */
export class UnansweredError extends Error {
  /** Whether a server may have seen the request. */
  readonly sent: boolean

  constructor(message: string, sent: boolean, cause?: unknown) {
    super(message, { cause })
    this.sent = sent
  }
}

/** One request, as it goes over the wire. */
export interface Exchange {
  readonly url: URL
  readonly options: RequestOptions
  readonly body: string | undefined
  /** ms without a sign of the server. */
  readonly timeout: number
  readonly signal: AbortSignal
  readonly clock: Clock
}

/** Resolves with the head of the answer. @throws UnansweredError; the reason of the signal */
export function exchange(given: Exchange): Promise<IncomingMessage> {
  const { url, options, body, timeout, signal, clock } = given
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(reasonOf(signal))
      return
    }
    let sent = false
    const fail = (error: unknown): void => {
      stop()
      reject(signal.aborted ? reasonOf(signal) : new UnansweredError(messageOf(error), sent, error))
    }
    const abort = (): void => {
      request.destroy()
      fail(undefined)
    }
    const stop = (): void => {
      timer.cancel()
      signal.removeEventListener('abort', abort)
    }
    const request = (url.protocol === 'https:' ? requestHttps : requestHttp)(url, options)
    request.once('socket', (socket) => {
      socket.setKeepAlive(true, KEEP_ALIVE_MS)
      const connected = (): void => void (sent = true)
      // One that was used before is connected; on any other nothing is sent until it is.
      if (request.reusedSocket) connected()
      else socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', connected)
    })
    request.on('error', fail)
    request.once('response', (response) => {
      stop()
      resolve(response)
    })
    const timer = clock.schedule(clock.now() + timeout, () => {
      request.destroy()
      fail(new Error(`no answer within ${timeout} ms`))
    })
    signal.addEventListener('abort', abort, { once: true })
    request.end(body)
  })
}

/** All of what comes behind the head. @throws UnansweredError; the reason of the signal */
export async function bodyOf(
  response: IncomingMessage,
  { timeout, signal, clock }: Pick<Exchange, 'timeout' | 'signal' | 'clock'>,
): Promise<string> {
  const chunks: Buffer[] = []
  const cut = (): void => void response.destroy()
  const arm = (): { cancel(): void } => clock.schedule(clock.now() + timeout, cut)
  let timer = arm()
  signal.addEventListener('abort', cut, { once: true })
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      chunks.push(chunk)
      timer.cancel()
      timer = arm()
    }
    if (signal.aborted) throw reasonOf(signal)
    return Buffer.concat(chunks).toString('utf8')
  } catch (error) {
    if (signal.aborted) throw reasonOf(signal)
    throw new UnansweredError(`the answer broke off: ${messageOf(error)}`, true, error)
  } finally {
    timer.cancel()
    signal.removeEventListener('abort', cut)
  }
}

function reasonOf(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason))
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  // What Node says of a name with several addresses is empty.
  return error instanceof AggregateError && error.message === ''
    ? error.errors.map(String).join(', ')
    : error.message
}
