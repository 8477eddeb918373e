import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { placeOf } from './place.js'

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'banyan-place-'))
  vi.spyOn(console, 'error').mockImplementation(() => undefined)
  vi.spyOn(console, 'log').mockImplementation(() => undefined)
})

afterEach(() => {
  vi.restoreAllMocks()
  rmSync(directory, { recursive: true })
})

function configOf(coordination: string): string {
  const file = join(directory, 'banyan.yaml')
  writeFileSync(file, `lissen: 8080\ncoordination: ${coordination}\n`)
  return file
}

test('a mistake elsewhere in a configuration keeps nobody from its coordinator', async () => {
  const place = await placeOf({ config: configOf('{ driver: sqlite, path: ./data }') })
  expect(place).toMatchObject({ spec: { driver: 'sqlite', path: './data' } })
})

test.each(['{ driver: sqlite }', "{ driver: sqlite, path: '' }", '{ driver: sqlight, path: ./data }'])(
  'a mistake in `coordination: %s` does',
  async (coordination) => {
    await expect(placeOf({ config: configOf(coordination) })).rejects.toMatchObject({
      code: 'BANYAN_INVALID_OPTIONS',
    })
  },
)
