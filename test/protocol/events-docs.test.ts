import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, expect, test } from 'vitest'
import { ensure } from '../../scripts/engines.mjs'
import { checkSource } from '../../src/node/config/load.js'
import { readYaml } from '../../src/node/config/yaml-source.js'
import { blockOf, startExample } from '../support/example.js'
import { closeAll, open } from '../support/gateway.js'

const run = promisify(execFile)

afterEach(closeAll)

test('the example of `events` on the page of the configuration is right', () => {
  const config = `listen: 8080\nservices: {}\nroutes: { all: { match: {}, respond: {} } }\n${blockOf('configuration.md', 'yaml', 1)}`
  expect(checkSource('docs/configuration.md', readYaml(config, {}))).toMatchObject({ ok: true, warnings: [] })
})

test('every request on the page of the event log over HTTP is answered as the page says', async () => {
  ensure('curl')
  const directory = mkdtempSync(join(tmpdir(), 'banyan-events-docs-'))
  open.push({ close: () => rmSync(directory, { recursive: true }) })
  const { ports } = await startExample('events/http.md', {
    edit: (yaml) => yaml.replace('127.0.0.1:8080', '127.0.0.1:0').replace('./data', join(directory, 'data')),
  })
  for (let index = 0; index < 5; index++) {
    const script = blockOf('events/http.md', 'sh', index).replaceAll(':8080', `:${ports[0]!}`)
    const { stdout } = await run('bash', ['-c', script], { cwd: directory })
    expect(stdout.replaceAll('\r', '').trim()).toBe(blockOf('events/http.md', 'txt', index).trim())
  }
})
