import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { loadEventTypes, openLog } from '../index.js'

let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'banyan-types-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

async function files(contents: Record<string, unknown>): Promise<void> {
  for (const [name, content] of Object.entries(contents))
    await writeFile(join(directory, name), typeof content === 'string' ? content : JSON.stringify(content))
}

test('files are types and versions of them, and what they refer to', async () => {
  await files({
    'OrderPlaced.schema.json': { type: 'object', required: ['total'] },
    'OrderPlaced.v2.schema.json': { type: 'object', properties: { to: { $ref: 'Address.json' } } },
    'order.sunk.schema.json': {},
    'a%2Fb.schema.json': {},
    'Address.json': { type: 'object', required: ['city'] },
    'README.md': 'about these types',
  })
  const log = await openLog('memory:', { transforms: [await loadEventTypes(directory)] })
  const append = (type: string, data?: unknown, schemaVersion = 1): ReturnType<typeof log.append> =>
    log.append({ streams: [{ stream: 's', events: [{ type, data, schemaVersion }] }] })

  await append('OrderPlaced', { total: 1 })
  await append('order.sunk')
  await append('a/b')
  await expect(append('OrderPlaced', {})).rejects.toThrow('data.total: is missing')
  await expect(append('OrderPlaced', { to: {} }, 2)).rejects.toThrow('data.to.city: is missing')
  await expect(append('Address')).rejects.toMatchObject({ code: 'BANYAN_UNKNOWN_EVENT_TYPE' })
})

test('a type may have any name', async () => {
  await files({ '__proto__.schema.json': {}, 'constructor.schema.json': {} })
  const log = await openLog('memory:', { transforms: [await loadEventTypes(directory)] })
  for (const type of ['__proto__', 'constructor'])
    expect(await log.append({ streams: [{ stream: 's', events: [{ type }] }] })).toMatchObject({ ok: true })
})

test.each<[string, Record<string, unknown>, RegExp]>([
  ['that is not JSON', { 'A.schema.json': '{' }, /A\.schema\.json is not JSON/],
  ['that is no object', { 'A.schema.json': [] }, /A\.schema\.json must be a JSON Schema/],
  ['with an unknown keyword', { 'A.schema.json': { typ: 1 } }, /A\.schema\.json .*unknown keyword: "typ"/],
  ['for a version that is there', { 'A.schema.json': {}, 'A.v1.schema.json': {} }, /A\.v1.*there twice/],
  ['with a name that does not decode', { 'A%.schema.json': {} }, /A%\.schema\.json is not percent-encoded/],
  ['without a type', { 'A.json': {} }, /has no file such as/],
])('a file %s is an error that names it', async (_, contents, message) => {
  await files(contents)
  await expect(loadEventTypes(directory)).rejects.toMatchObject({
    code: 'BANYAN_INVALID_OPTIONS',
    message: expect.stringMatching(message) as string,
  })
})

test('a directory that is not there is an error', async () => {
  await expect(loadEventTypes(join(directory, 'nowhere'))).rejects.toThrow(/nowhere cannot be read/)
})
