import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Fields } from '../../http/fields.js'
import {
  codeIn,
  encodeMessage,
  grpcCodeOf,
  httpStatusOf,
  isGrpc,
  isGrpcFailure,
  isWorthAnotherCall,
} from './status.js'

const of = (...entries: [string, string][]): Fields => Fields.of(entries)

describe('gRPC', () => {
  test.each(['application/grpc', 'application/grpc+proto', 'Application/gRPC;charset=utf-8'])(
    'is known by its content type: %s',
    (type) => expect(isGrpc(of(['Content-Type', type]))).toBe(true),
  )

  test.each(['application/grpc-web', 'application/grpc-web+proto', 'application/grpcx', 'application/json'])(
    'is not %s',
    (type) => expect(isGrpc(of(['content-type', type]))).toBe(false),
  )

  test('ends with UNKNOWN where its status cannot be read', () => {
    expect(codeIn(of(['grpc-status', '14']))).toBe(14)
    for (const text of ['', 'x', '-1', '1.5', '100']) expect(codeIn(of(['grpc-status', text]))).toBe(2)
    expect(codeIn(undefined)).toBe(2)
  })

  test('counts as failures what is the fault of the service', () => {
    const failures = Array.from({ length: 17 }, (_, code) => code).filter(isGrpcFailure)
    expect(failures).toEqual([2, 4, 13, 14, 15])
    expect(failures.map(httpStatusOf)).toEqual([500, 504, 500, 503, 500])
    expect(httpStatusOf(5)).toBe(200)
  })

  test('has a code for every status that the gateway answers with', () => {
    expect([400, 401, 403, 404, 413, 429, 500, 502, 503, 504, 418].map(grpcCodeOf)).toEqual([
      3, 16, 7, 12, 8, 8, 13, 14, 14, 4, 2,
    ])
  })

  test('is tried again when it is not there, and when it says when to come back, unless it wants no more', () => {
    const pushback = (ms: string): Fields => of(['grpc-retry-pushback-ms', ms])
    expect(isWorthAnotherCall(14, of())).toBe(true)
    expect(isWorthAnotherCall(14, pushback('-1'))).toBe(false)
    expect(isWorthAnotherCall(14, pushback('soon'))).toBe(false)
    expect(isWorthAnotherCall(8, of())).toBe(false)
    expect(isWorthAnotherCall(8, pushback('250'))).toBe(true)
    expect(isWorthAnotherCall(13, pushback('250'))).toBe(false)
  })

  test('carries any message in visible ASCII, to be read again', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 200 }), (text) => {
        const encoded = encodeMessage(text)
        expect(encoded).toMatch(/^[\x20-\x7e]*$/)
        expect(decodeURIComponent(encoded)).toBe(text)
      }),
    )
  })
})
