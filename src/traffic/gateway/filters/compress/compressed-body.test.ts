import { randomBytes } from 'node:crypto'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Body } from '../../../http/body.js'
import { collect } from '../../../http/collect.js'
import { openCompressor } from './codec.js'
import { CompressedBody } from './compressed-body.js'

const noop = (): void => undefined

test('a full sink stops the source, and nothing is lost', async () => {
  const state = { paused: false }
  let resumed = noop
  const source = new Body(undefined, {
    pause: () => (state.paused = true),
    resume: () => {
      state.paused = false
      resumed()
    },
  })
  const { body } = new CompressedBody(source, openCompressor('gzip', 'fastest', undefined), noop)
  const sent: Buffer[] = []
  // Nobody reads: whatever the compressor and the body hold, the source must be stopped by then.
  for (let still = 0; still < 100; still++) {
    while (!state.paused && sent.length < 1000) {
      sent.push(randomBytes(16 * 1024))
      source.push(sent.at(-1)!)
      still = 0
    }
    await new Promise(setImmediate)
  }
  expect(sent.length).toBeLessThan(50)
  const end = new Promise<void>((resolve) => {
    resumed = resolve
    // The compressor works in a thread of its own, and may have just made room.
    if (!state.paused) resolve()
  })
  const received = collect(body, Infinity)
  await end
  source.finish(undefined)
  expect(gunzipSync((await received)!).equals(Buffer.concat(sent))).toBe(true)
})

test('what goes in comes out, however it is cut', async () => {
  const parts = fc.array(fc.uint8Array({ maxLength: 3000 }), { size: 'max', maxLength: 40 })
  await fc.assert(
    fc.asyncProperty(parts, fc.boolean(), async (arrays, breathing) => {
      const source = new Body(undefined, undefined)
      const over: number[] = []
      const { body } = new CompressedBody(
        source,
        openCompressor('br', 'fastest', undefined),
        (read, written) => over.push(read, written),
      )
      const received = collect(body, Infinity)
      for (const part of arrays) {
        source.push(Buffer.from(part))
        if (breathing) await new Promise(setImmediate)
      }
      source.finish(undefined)
      const compressed = (await received)!
      const plain = Buffer.concat(arrays)
      expect(brotliDecompressSync(compressed).equals(plain)).toBe(true)
      expect(over).toEqual([plain.length, compressed.length])
    }),
    { numRuns: 30 },
  )
})

test('that is given up frees the compressor, fails, and lets the source run dry', async () => {
  let resumed = 0
  const source = new Body(undefined, { pause: noop, resume: () => resumed++ })
  const compressor = openCompressor('gzip', 'fastest', undefined)
  let over = 0
  const compressed = new CompressedBody(source, compressor, () => over++)
  source.push(randomBytes(1024 * 1024))
  compressed.cancel(new Error('gone'))
  source.push(randomBytes(1024))
  compressed.cancel(new Error('again'))
  await new Promise((resolve) => compressor.stream.once('close', resolve))
  expect([over, resumed]).toEqual([1, 1])
  expect(compressed.body.error?.message).toBe('gone')
})
