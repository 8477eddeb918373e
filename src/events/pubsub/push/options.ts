import { BanyanError } from '../../../core/errors.js'
import { checkOptions, type OptionTable } from '../../../core/options.js'
import { systemRuntime, type Runtime } from '../../../core/runtime.js'
import { isUriReference } from '../../cloudevents/attributes.js'
import type { RequestOptions } from './request.js'
import { keysOf } from './signature.js'

/** What is sent. */
export interface PushInit {
  method: 'POST'
  headers: Record<string, string>
  body: string | Uint8Array<ArrayBuffer>
  redirect: 'manual'
  /** Aborts when the deadline of the message has passed, or nobody waits any more. */
  signal: AbortSignal
}

/**
 * Sends a request, as `fetch` does. An error with `sent: false` or with `retryAfter` (ms, or undefined), as those of the
 * policies of `banyan/traffic`, says that nothing was sent.
 */
export type Send = (url: string, init: PushInit) => Promise<Response>

/** Options of {@link push}. */
export interface PushOptions {
  /** Where messages go: http or https. Redirects are not followed. */
  url: string
  /** Sends requests; default `globalThis.fetch`. */
  send?: Send
  /** `structured` (default): the CloudEvent as JSON; `binary`: its attributes as header fields, its data as the body. */
  format?: 'structured' | 'binary'
  /** `source` of the CloudEvents, but of those that came with one. Default `/banyan`. */
  source?: string
  /** Fields that every request has besides, such as `Authorization`. */
  headers?: Readonly<Record<string, string>>
  /**
   * Signs requests as Standard Webhooks has it: `whsec_` and base64 of 24 bytes or more; of several, while one takes the
   * place of another, with each. The body is signed: in `binary` format not the attributes. Default: no signature.
   */
  secret?: string | readonly string[]
  /** Requests at the same time, of different keys. Default 16. */
  concurrency?: number
  /** Time, chance and telemetry; default the system's. */
  runtime?: Runtime
}

const OPTIONS: OptionTable<PushOptions> = {
  url: { kind: 'string', doc: 'where messages go' },
  send: { kind: 'code', type: 'function', doc: 'sends requests' },
  format: { kind: 'choice', values: ['structured', 'binary'], doc: 'how a CloudEvent is sent' },
  source: { kind: 'string', doc: 'source of the CloudEvents' },
  headers: { kind: 'code', type: 'object', doc: 'fields that every request has' },
  secret: {
    kind: 'either',
    of: [
      { kind: 'string', doc: 'a secret' },
      { kind: 'list', of: { kind: 'string', doc: 'a secret' }, doc: 'secrets' },
    ],
    doc: 'signs requests',
  },
  concurrency: { kind: 'number', min: 1, integer: true, doc: 'requests at the same time' },
  runtime: { kind: 'code', type: 'object', doc: 'time, chance and telemetry' },
}

/** Header fields that say what the request is, and those of the connection. */
const OWN_FIELDS =
  /^(?:content-type|content-length|transfer-encoding|connection|host|expect|upgrade|te|trailer|idempotency-key|(?:ce|webhook|banyan)-.*)$/i
/** Options with their defaults. */
export interface PushSettings extends Omit<RequestOptions, 'subscription'> {
  readonly url: string
  readonly send: Send
  readonly concurrency: number
  readonly runtime: Runtime
}

/** @throws `BANYAN_INVALID_OPTIONS` */
export function pushSettings(options: PushOptions): PushSettings {
  checkOptions('push', OPTIONS, options)
  const { format = 'structured', source = '/banyan', headers = {}, secret, concurrency = 16 } = options
  const { send = globalThis.fetch, runtime = systemRuntime } = options
  if (!isUriReference(source)) throw invalid(`source must be a URI reference, got ${JSON.stringify(source)}`)
  return {
    url: checkedUrl(options.url),
    send,
    format,
    source,
    headers: checkedFields(headers),
    keys: secret === undefined ? [] : keysOf(secret),
    concurrency,
    runtime,
  }
}

function checkedUrl(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed && /^https?:$/.test(parsed.protocol) && parsed.username === '' && parsed.password === '')
    return parsed.href
  throw invalid('url must be an http or https URL without credentials, which belong into headers')
}

function checkedFields(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  for (const name of Object.keys(headers))
    if (OWN_FIELDS.test(name)) throw invalid(`headers: ${name} is not yours to set`)
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}

function invalid(what: string): BanyanError {
  return new BanyanError('BANYAN_INVALID_OPTIONS', `push: ${what}`)
}
