import fc from 'fast-check'
import { Webhook } from 'standardwebhooks'
import { describe, expect, test } from 'vitest'
import { systemRuntime } from '../../../core/runtime.js'
import { virtualClock } from '../../../testing/index.js'
import { keysOf, signatureFields, verifyWebhook } from './signature.js'

const secretOf = (bytes: Uint8Array) => `whsec_${Buffer.from(bytes).toString('base64')}`
const secret = secretOf(Buffer.alloc(24, 1))
const other = secretOf(Buffer.alloc(64, 2))
const now = Date.UTC(2026, 0, 1)
const runtime = { ...systemRuntime, clock: virtualClock({ wall: now }) }

const signed = (body: string | Uint8Array, secrets: string | string[] = secret, at = now) =>
  signatureFields(keysOf(secrets), 'msg_1', body, at)

describe('a signature', () => {
  test('is what the reference implementation accepts, and the other way round', () => {
    const id = fc.string({ unit: fc.constantFrom('a', 'Z', '0', '_', '-'), minLength: 1 })
    const bytes = fc.uint8Array({ minLength: 24, maxLength: 64 })
    fc.assert(
      fc.property(id, fc.string({ unit: 'binary' }), bytes, (name, body, key) => {
        const reference = new Webhook(secretOf(key))
        const at = Date.now()
        const fields = signatureFields(keysOf(secretOf(key)), name, body, at)
        reference.verify(body, fields, { jsonParse: false })
        const theirs = {
          'webhook-id': name,
          'webhook-timestamp': String(Math.floor(at / 1000)),
          'webhook-signature': reference.sign(name, new Date(at), body),
        }
        expect(verifyWebhook(theirs, body, secretOf(key)).id).toBe(name)
      }),
    )
  })

  test('is that of the example of the specification', () => {
    const fields = signatureFields(
      keysOf('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'),
      'msg_p5jXN8AQM9LWM0D4loKWxJek',
      '{"test": 2432232314}',
      1614265330_000,
    )
    expect(fields['webhook-signature']).toBe('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=')
  })

  test('of one of several secrets is enough, on either side', () => {
    expect(verifyWebhook(signed('x', [secret, other]), 'x', other, { runtime })).toEqual({
      id: 'msg_1',
      signed: now,
    })
    expect(verifyWebhook(signed('x', other), 'x', [secret, other], { runtime })).toMatchObject({
      id: 'msg_1',
    })
  })

  test('is found in headers of a Request as well', () => {
    const headers = new Headers(signed('x'))
    expect(verifyWebhook(headers, Buffer.from('x'), secret, { runtime })).toMatchObject({ id: 'msg_1' })
  })

  test.each<[string, Record<string, string | string[] | undefined>, string, string]>(
    [
    ['another body', signed('x'), 'y', 'no signature is of a secret that is known here'],
    ['another secret', signed('x', other), 'x', 'no signature is of a secret that is known here'],
    ['another id', { ...signed('x'), 'webhook-id': 'msg_2' }, 'x', 'no signature is of'],
    ['another version', { ...signed('x'), 'webhook-signature': signed('x')['webhook-signature']!.replace('v1', 'v2') }, 'x', 'no signature is of'],
    ['half of it', { ...signed('x'), 'webhook-signature': signed('x')['webhook-signature']!.slice(0, 20) }, 'x', 'no signature is of'],
    ['nothing', { ...signed('x'), 'webhook-signature': undefined }, 'x', 'it has no webhook-signature'],
    ['two ids', { ...signed('x'), 'webhook-id': ['a', 'b'] }, 'x', 'it has no webhook-id'],
    ['a time that is none', { ...signed('x'), 'webhook-timestamp': '1e9' }, 'x', 'not a number of seconds'],
    ['an old time', signed('x', secret, now - 301_000), 'x', 'it was signed at 2025-12-31T23:54:59.000Z, too far from now'],
    ['a time to come', signed('x', secret, now + 301_000), 'x', 'too far from now'],
  ] /* prettier-ignore */,
  )('with %s is refused', (_what, fields, body, message) => {
    const verify = () => verifyWebhook(fields, body, secret, { runtime })
    expect(verify).toThrow(message)
    expect(verify).toThrow(expect.objectContaining({ code: 'BANYAN_WEBHOOK_UNVERIFIED' }))
  })

  test('may be older where that is said', () => {
    const old = signed('x', secret, now - 3_000_000)
    expect(verifyWebhook(old, 'x', secret, { runtime, tolerance: '1h' })).toMatchObject({ id: 'msg_1' })
  })
})
