import { createHmac, timingSafeEqual } from 'node:crypto'
import { duration, type Duration } from '../../../core/duration.js'
import { BanyanError } from '../../../core/errors.js'
import { systemRuntime, type Runtime } from '../../../core/runtime.js'
import { eventError } from '../../errors.js'

/** Signatures of webhooks as Standard Webhooks has them (https://www.standardwebhooks.com, 1.0.0). */

const PREFIX = 'whsec_'
/** As the specification recommends. */
const LEAST_KEY_BYTES = 24
const DEFAULT_TOLERANCE = '5m'

/** Header fields as Node gives them, with names in lower case, or those of a `Request`. */
export type WebhookHeaders =
  Readonly<Record<string, string | readonly string[] | undefined>> | { get(name: string): string | null }

/** What a signature vouches for, besides the body. */
export interface VerifiedWebhook {
  /** The same for every try of the same message to the same subscription. */
  id: string
  /** When it was signed, ms since the epoch. */
  signed: number
}

/** How a signature is checked. */
export interface VerifyWebhookOptions {
  /** How far the time of signing may be away from now, against messages that are sent once more. Default `'5m'`. */
  tolerance?: Duration
  /** Time; default the system's. */
  runtime?: Pick<Runtime, 'clock'>
}

/**
 * Reads secrets.
 *
 * @param secrets - each `whsec_` and 24 bytes or more in base64
 * @throws `BANYAN_INVALID_OPTIONS`
 */
export function keysOf(secrets: string | readonly string[]): readonly Buffer[] {
  const keys = [secrets].flat().map((secret) => {
    const [, base64] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret) ?? []
    const key = Buffer.from(base64 ?? '', 'base64')
    if (key.length >= LEAST_KEY_BYTES) return key
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `a secret for signatures is ${PREFIX} and at least ${LEAST_KEY_BYTES} random bytes in base64, such as that of: echo ${PREFIX}$(openssl rand -base64 32)`,
    )
  })
  if (keys.length === 0)
    throw new BanyanError('BANYAN_INVALID_OPTIONS', 'there must be one secret for signatures at least')
  return keys
}

/**
 * The fields that sign a body: `webhook-id`, `webhook-timestamp`, and `webhook-signature` with one signature for each key.
 *
 * @param now - ms since the epoch
 */
export function signatureFields(
  keys: readonly Buffer[],
  id: string,
  body: string | Uint8Array,
  now: number,
): Record<string, string> {
  const timestamp = String(Math.floor(now / 1000))
  const signatures = keys.map((key) => `v1,${sign(key, id, timestamp, body).toString('base64')}`)
  return {
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    ...(signatures.length > 0 && { 'webhook-signature': signatures.join(' ') }),
  }
}

/**
 * Checks who has sent a webhook, as a receiver does before it reads it: the body is what somebody has signed who knows one
 * of the secrets, not long ago.
 *
 * @param body - as it came, byte for byte: not parsed and written anew
 * @param secrets - one, or several while one takes the place of another; each `whsec_...`
 * @throws `BANYAN_WEBHOOK_UNVERIFIED` that says what is wrong; answer 401
 * @throws `BANYAN_INVALID_OPTIONS` for secrets that are none
 */
export function verifyWebhook(
  headers: WebhookHeaders,
  body: string | Uint8Array,
  secrets: string | readonly string[],
  options: VerifyWebhookOptions = {},
): VerifiedWebhook {
  const { tolerance = DEFAULT_TOLERANCE, runtime: { clock } = systemRuntime } = options
  const keys = keysOf(secrets)
  const id = fieldOf(headers, 'webhook-id')
  const timestamp = fieldOf(headers, 'webhook-timestamp')
  const given = fieldOf(headers, 'webhook-signature')
  if (!/^\d{1,12}$/.test(timestamp)) throw unverified('webhook-timestamp is not a number of seconds')
  const signed = Number(timestamp) * 1000
  if (Math.abs(clock.wall() - signed) > duration(tolerance, 'tolerance'))
    throw unverified(`it was signed at ${new Date(signed).toISOString()}, too far from now`)
  const signatures = given.split(' ').flatMap((each) => {
    const [, base64] = /^v1,([A-Za-z0-9+/]+={0,2})$/.exec(each) ?? []
    return base64 === undefined ? [] : [Buffer.from(base64, 'base64')]
  })
  const isRight = keys.some((key) => {
    const expected = sign(key, id, timestamp, body)
    return signatures.some((each) => each.length === expected.length && timingSafeEqual(each, expected))
  })
  if (!isRight) throw unverified('no signature is of a secret that is known here')
  return { id, signed }
}

function sign(key: Buffer, id: string, timestamp: string, body: string | Uint8Array): Buffer {
  return createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest()
}

function fieldOf(headers: WebhookHeaders, name: string): string {
  const value = isGetter(headers) ? headers.get(name) : headers[name]
  if (typeof value === 'string' && value !== '') return value
  throw unverified(`it has no ${name}`)
}

function isGetter(headers: WebhookHeaders): headers is { get(name: string): string | null } {
  return typeof headers.get === 'function'
}

function unverified(why: string): BanyanError {
  return eventError('BANYAN_WEBHOOK_UNVERIFIED', `the webhook is not verified: ${why}`)
}
