import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { times } from '../../../../test/support/effort.js'
import { frame, FrameReader, statusOf } from './grpc.js'

describe('gRPC', () => {
  test('messages come whole, wherever the network cuts them', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 50 })),
        fc.infiniteStream(fc.integer({ min: 1, max: 12 })),
        (messages, sizes) => {
          const sent = Buffer.concat(messages.map((message) => frame(Buffer.from(message))))
          const reader = new FrameReader()
          const read: Buffer[] = []
          for (let at = 0; at < sent.length;) {
            const { value: size } = sizes.next() as { value: number }
            read.push(...reader.take(sent.subarray(at, at + size)))
            at += size
          }
          expect(read.map((message) => [...message])).toEqual(messages.map((message) => [...message]))
        },
      ),
      { numRuns: times(200) },
    )
  })

  test('a compressed message is refused', () => {
    const compressed = frame(Buffer.from('x'))
    compressed[0] = 1
    expect(() => new FrameReader().take(compressed)).toThrow(RangeError)
  })

  test('a status is in the headers at the end, or in those at the beginning', () => {
    expect(statusOf({ ':status': 200, 'content-type': 'application/grpc' })).toBeUndefined()
    expect(statusOf({ 'grpc-status': '0', 'grpc-message': '' })).toEqual({ code: 0, details: '' })
    expect(statusOf({ ':status': 200, 'grpc-status': '5', 'grpc-message': 'caf%C3%A9 50%25' })).toEqual({
      code: 5,
      details: 'café 50%',
    })
    expect(statusOf({ 'grpc-status': '2', 'grpc-message': '100%' })).toEqual({ code: 2, details: '100%' })
    expect(statusOf({ ':status': 502 })).toMatchObject({ code: 14 })
  })
})
