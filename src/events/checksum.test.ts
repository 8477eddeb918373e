import { expect, it } from 'vitest'
import { checksumOf } from './checksum.js'

it('is the same for no bytes at all, wherever their memory is', () => {
  const event = { id: undefined, ordinal: 0, type: 'A', time: 7, schemaVersion: 1, tags: [], metadata: '' }
  const seal = (data: Uint8Array | undefined): number => checksumOf('s', 'c', { ...event, data })
  const touched = new Uint8Array(0)
  expect(touched.buffer.byteLength).toBe(0)
  const all = [new Uint8Array(0), touched, Buffer.alloc(0), Buffer.from('abc').subarray(3), new Uint8Array(0)]
  expect(new Set(all.map(seal)).size).toBe(1)
  expect(seal(touched)).not.toBe(0)
  expect(seal(touched)).not.toBe(seal(undefined))
})
