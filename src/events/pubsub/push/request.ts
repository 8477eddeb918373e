import { createHash } from 'node:crypto'
import { CLOUDEVENT_JSON, cloudEventToHttp, toCloudEvent, type CloudEvent } from '../../cloudevents/index.js'
import type { Message } from '../message.js'
import { signatureFields } from './signature.js'

/** How a message is put into a request. */
export interface RequestOptions {
  readonly subscription: string
  readonly format: 'structured' | 'binary'
  /** `source` of the CloudEvents. */
  readonly source: string
  /** Fields that every request has. */
  readonly headers: Readonly<Record<string, string>>
  /** Keys of signatures; none for none. */
  readonly keys: readonly Buffer[]
}

/** A message as a request; the same for every try but for the time that is signed. */
export class PushRequest {
  readonly body: string | Uint8Array<ArrayBuffer>
  readonly #fields: Readonly<Record<string, string>>
  readonly #id: string
  readonly #keys: readonly Buffer[]

  constructor({ event, attempt, key }: Message, options: RequestOptions) {
    const { subscription, format, source, headers, keys } = options
    const { partitionkey, ...rest } = toCloudEvent(event, { source })
    // What has no key has no order.
    const cloudEvent: CloudEvent = key === undefined ? rest : { ...rest, partitionkey }
    const { headers: own, body = '' } =
      format === 'binary'
        ? cloudEventToHttp(cloudEvent)
        : {
            headers: { 'content-type': `${CLOUDEVENT_JSON}; charset=utf-8` },
            body: JSON.stringify(cloudEvent),
          }
    this.body = body as string | Uint8Array<ArrayBuffer>
    this.#id = webhookId(subscription, event.id)
    this.#keys = keys
    this.#fields = {
      ...headers,
      ...own,
      // The same again does no harm: what stands between here and there may repeat it.
      'idempotency-key': `"${this.#id}"`,
      'banyan-subscription': encodeURIComponent(subscription),
      'banyan-attempt': String(attempt),
    }
  }

  /** @param now - ms since the epoch */
  fields(now: number): Record<string, string> {
    return { ...this.#fields, ...signatureFields(this.#keys, this.#id, this.body, now) }
  }
}

/**
 * Names a message of a subscription, the same for every try and on every machine. Without full stops, which stand between
 * the parts of what is signed.
 */
function webhookId(subscription: string, event: string): string {
  const digest = createHash('sha256')
    .update(JSON.stringify([subscription, event]))
    .digest('base64url')
  return `msg_${digest.slice(0, 27)}`
}
