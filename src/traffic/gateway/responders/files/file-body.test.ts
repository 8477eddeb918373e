import { randomBytes } from 'node:crypto'
import { once, type EventEmitter } from 'node:events'
import { mkdtempSync, truncateSync, writeFileSync } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { collect } from '../../../http/collect.js'
import { FileBody } from './file-body.js'

const path = join(mkdtempSync(join(tmpdir(), 'banyan-body-')), 'file')
const data = randomBytes(300_000)

async function file(): Promise<{ handle: FileHandle; closed: Promise<unknown> }> {
  writeFileSync(path, data)
  const handle = await open(path)
  return { handle, closed: once(handle as unknown as EventEmitter, 'close') }
}

test('any part of a file arrives as it is, and the file is closed', async () => {
  const part = fc
    .tuple(fc.nat(data.length), fc.nat(data.length))
    .map(([a, b]) => [Math.min(a, b), Math.abs(a - b)] as const)
  await fc.assert(
    fc.asyncProperty(part, async ([first, length]) => {
      const { handle, closed } = await file()
      const received = await collect(new FileBody(handle, first, length).body, Infinity)
      expect(received!.equals(data.subarray(first, first + length))).toBe(true)
      await closed
    }),
    { numRuns: 30 },
  )
})

test('no more is read than is taken', async () => {
  const { handle, closed } = await file()
  const fileBody = new FileBody(handle, 0, data.length)
  while (fileBody.body.heldBytes < 64 * 1024) await new Promise(setImmediate)
  for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate)
  expect(fileBody.body.heldBytes).toBe(64 * 1024)
  fileBody.cancel(new Error('gone'))
  await closed
  expect(fileBody.body.error?.message).toBe('gone')
})

test('a file that becomes shorter breaks off', async () => {
  const { handle } = await file()
  const { body } = new FileBody(handle, 0, data.length)
  while (body.heldBytes < 64 * 1024) await new Promise(setImmediate)
  truncateSync(path, 100)
  await expect(collect(body, Infinity)).rejects.toThrow(/shorter/)
})
