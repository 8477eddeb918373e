import { BanyanError } from '../../../core/errors.js'
import type { Runtime } from '../../../core/runtime.js'
import type { Message } from '../message.js'
import type { Subscription } from '../subscription.js'
import { Gate, type Turn } from './gate.js'
import { pushSettings, type PushOptions, type PushSettings, type Send } from './options.js'
import { PushRequest, type RequestOptions } from './request.js'
import { discard, verdictOf, verdictOfError, type Verdict } from './verdict.js'

/** What a push does at the moment. */
export interface PushStatus {
  /** Requests under way. */
  readonly sending: number
  /** Messages that wait until the endpoint is there again. */
  readonly waiting: number
  /** Why nothing is sent at the moment, since when (ms since the epoch). */
  readonly unavailable?: { readonly reason: string; readonly since: number }
}

/** Messages on their way to an endpoint. */
export interface Push extends AsyncDisposable {
  status(): PushStatus
  /**
   * Sends nothing more, and waits for the requests under way. The subscription stays open.
   *
   * @param cut - breaks off the waiting, and those requests
   */
  close(cut?: AbortSignal): Promise<void>
}

/** How long a message may wait for its endpoint before that counts as a failed try. */
const HOLD = '1d'
/** What is left of an answer is read for so long, in ms. */
const DISCARD_MS = 5000

/**
 * Sends the messages of a subscription to an endpoint, each as a CloudEvent in a POST request, those of one key one after
 * the other. The deadline of the subscription is that of the request. What answers mean is in {@link verdictOf}: 2xx
 * acknowledges, most of 4xx make a dead letter, others are tried again as the subscription says. An endpoint that is not there, or
 * is too busy, costs no tries: its messages wait for it.
 *
 * At least once: the endpoint gets a message again if its answer is lost. `webhook-id` (also `idempotency-key`) is the same
 * then.
 *
 * @throws `BANYAN_INVALID_OPTIONS`
 */
export function push(subscription: Pick<Subscription, 'name' | 'messages'>, options: PushOptions): Push {
  return new Pusher(subscription, pushSettings(options))
}

class Pusher implements Push {
  readonly #name: string
  readonly #url: string
  readonly #send: Send
  readonly #request: RequestOptions
  readonly #runtime: Runtime
  readonly #gate: Gate
  readonly #closing = new AbortController()
  readonly #sending = new Set<AbortController>()
  readonly #workers: Promise<unknown>
  readonly #hideGauge: () => void
  #waiting = 0
  /** How many messages got through. */
  #accepted = 0
  #reason = ''
  #unavailable: { reason: string; since: number } | undefined

  constructor(
    subscription: Pick<Subscription, 'name' | 'messages'>,
    { url, send, concurrency, runtime, ...request }: PushSettings,
  ) {
    const { name } = subscription
    this.#name = name
    this.#url = url
    this.#send = send
    this.#request = { subscription: name, ...request }
    this.#runtime = runtime
    this.#gate = new Gate(runtime.clock, runtime.random, (isOpen) => this.#changed(isOpen))
    this.#hideGauge = runtime.telemetry.gauge(
      'banyan.subscription.push.available',
      {
        description: 'Whether the endpoint that messages are pushed to is there: 1 if so, 0 if not.',
        attributes: { 'banyan.subscription': name },
      },
      () => (this.#gate.isOpen ? 1 : 0),
    )
    const { signal } = this.#closing
    const work = async (): Promise<void> => {
      try {
        for await (const message of subscription.messages({ signal })) await this.#deliver(message)
      } catch (error) {
        // It was deleted, and says so itself.
        this.#unavailable = { reason: (error as Error).message, since: runtime.clock.wall() }
      }
    }
    this.#workers = Promise.all(Array.from({ length: concurrency }, work))
  }

  status(): PushStatus {
    const unavailable = this.#unavailable
    return { sending: this.#sending.size, waiting: this.#waiting, ...(unavailable && { unavailable }) }
  }

  async close(cut?: AbortSignal): Promise<void> {
    this.#closing.abort()
    const onCut = (): void => {
      for (const each of this.#sending) each.abort(new Error('the push was closed'))
    }
    cut?.addEventListener('abort', onCut, { once: true })
    if (cut?.aborted) onCut()
    await this.#workers
    cut?.removeEventListener('abort', onCut)
    this.#gate.close()
    this.#hideGauge()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #deliver(message: Message): Promise<void> {
    try {
      const verdict = await this.#sendOn(message)
      // Without a verdict it is for whoever comes next, unless it has ended.
      await (verdict ? settle(message, verdict) : message.release())
    } catch (error) {
      // It has ended in the meantime: it comes again.
      if (error instanceof BanyanError && error.code === 'BANYAN_DELIVERY_ENDED') return
      this.#runtime.telemetry.log(
        'error',
        `subscription ${this.#name}: a message was not pushed: ${String(error)}`,
      )
      await message.nack({ reason: String(error) }).catch(() => undefined)
    }
  }

  /** Sends a message until it is known what becomes of it; undefined if this is being closed, or it has ended. */
  async #sendOn(message: Message): Promise<Verdict | undefined> {
    const request = new PushRequest(message, this.#request)
    const before = this.#accepted
    for (;;) {
      const turn = await this.#turnFor(message)
      if (!turn) return undefined
      const verdict = await this.#try(message, request)
      if (verdict?.is === 'accepted') this.#accepted++
      if (verdict?.is !== 'unavailable') {
        turn.reached()
        return verdict
      }
      this.#reason = verdict.reason
      turn.unavailable(verdict.after)
      // While others get through, it is the message that does not.
      if (!verdict.sure && this.#accepted > before) return verdict
    }
  }

  /** Waits until something can be sent. Undefined if the message has ended, or this is being closed. */
  async #turnFor(message: Message): Promise<Turn | undefined> {
    const { signal } = this.#closing
    if (message.signal.aborted || signal.aborted) return undefined
    const now = this.#gate.turn()
    if (now) return now
    const ended = new AbortController()
    const end = (): void => ended.abort()
    message.extend(HOLD)
    this.#waiting++
    message.signal.addEventListener('abort', end, { once: true })
    signal.addEventListener('abort', end, { once: true })
    const turn = await this.#gate.enter(ended.signal)
    signal.removeEventListener('abort', end)
    message.signal.removeEventListener('abort', end)
    this.#waiting--
    if (ended.signal.aborted) turn?.unused()
    else message.extend()
    return ended.signal.aborted ? undefined : turn
  }

  /** Undefined if the message has ended meanwhile, which is counted already, or this is cut off. */
  async #try(message: Message, request: PushRequest): Promise<Verdict | undefined> {
    const { clock } = this.#runtime
    const trying = new AbortController()
    const giveUp = (): void => trying.abort(message.signal.reason)
    message.signal.addEventListener('abort', giveUp, { once: true })
    this.#sending.add(trying)
    try {
      const response = await this.#send(this.#url, {
        method: 'POST',
        headers: request.fields(clock.wall()),
        body: request.body,
        redirect: 'manual',
        signal: trying.signal,
      })
      const verdict = await verdictOf(response, clock.wall())
      this.#discard(response, trying)
      return verdict
    } catch (error) {
      return trying.signal.aborted ? undefined : verdictOfError(error)
    } finally {
      message.signal.removeEventListener('abort', giveUp)
      this.#sending.delete(trying)
    }
  }

  #discard(response: Response, trying: AbortController): void {
    const { clock } = this.#runtime
    const timer = clock.schedule(clock.now() + DISCARD_MS, () => trying.abort())
    void discard(response).then(() => timer.cancel())
  }

  #changed(isOpen: boolean): void {
    const { clock, telemetry } = this.#runtime
    this.#unavailable = isOpen ? undefined : { reason: this.#reason, since: clock.wall() }
    const attributes = { 'banyan.subscription': this.#name }
    if (isOpen) telemetry.log('info', `subscription ${this.#name}: messages get through again`, attributes)
    else
      telemetry.log(
        'warn',
        `subscription ${this.#name}: messages wait, as the endpoint has ${this.#reason}`,
        attributes,
      )
  }
}

/** @returns when it is durable */
function settle(message: Message, verdict: Verdict): Promise<void> {
  switch (verdict.is) {
    case 'accepted':
      return message.ack()
    case 'refused':
      return message.reject(verdict.reason)
    case 'failed':
    case 'unavailable': {
      const { reason, after } = verdict
      return message.nack({ reason, ...(after !== undefined && { delay: after }) })
    }
  }
}
