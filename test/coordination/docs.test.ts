import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { freePort } from '../../scripts/engines.mjs'
import { fencedFetch } from '../../src/coordination/index.js'
import { blockOf, startExample } from '../support/example.js'
import { closeAll } from '../support/gateway.js'
import { Origin } from '../support/origin.js'
import { runSnippet } from '../support/snippet.js'

const PAGE = 'coordination/coordinator.md'

test('the example of the page of the coordinator prints what it says', async () => {
  expect(await runSnippet(PAGE)).toBe(blockOf(PAGE, 'text'))
})

const FENCING = 'coordination/fencing.md'

test.each([
  ['an event log', 0, 0],
  ['a table of SQLite', 1, 2],
  ['HTTP', 3, 4],
  ['a key of a coordinator', 4, 5],
])('the example of fencing with %s prints what the page says', async (_with, index, output) => {
  const port = String(await freePort())
  const edit = (code: string): string => code.replaceAll('8080', port)
  expect(await runSnippet(FENCING, { index, edit })).toBe(blockOf(FENCING, 'text', output))
})

test('the gateway of the page of fencing refuses what is stale', async () => {
  const path = mkdtempSync(join(tmpdir(), 'banyan-fencing-docs-'))
  try {
    const invoices = await Origin.open((_, response) => response.end())
    const { ports } = await startExample(FENCING, {
      env: { INVOICES: invoices.url },
      edit: (yaml) => yaml.replace('127.0.0.1:8080', '127.0.0.1:0').replace('./data', path),
    })
    const write = (token: number, key = 'invoices-key') =>
      fencedFetch({ name: 'invoices', token })(`http://127.0.0.1:${ports[0]}/invoices/1`, {
        method: 'PUT',
        headers: { 'X-Api-Key': key },
      })
    expect((await write(9, 'a guess')).status).toBe(401)
    expect((await write(7)).status).toBe(200)
    await expect(write(5)).rejects.toMatchObject({ code: 'BANYAN_STALE_TOKEN', seen: 7 })
    expect(invoices.count).toBe(1)
  } finally {
    await closeAll()
    rmSync(path, { recursive: true })
  }
})
