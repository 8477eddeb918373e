import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterEach, expect, test } from 'vitest'
import { ensure } from '../../scripts/engines.mjs'
import { blockOf, startExample } from '../support/example.js'
import { closeAll, open } from '../support/gateway.js'
import { closeLogs, newDirectory } from '../support/logs.js'
import { Receiver } from '../support/receiver.js'

const run = promisify(execFile)

afterEach(async () => {
  await closeAll()
  await closeLogs()
})

test('what the page of pub/sub over HTTP shows happens', async () => {
  ensure('curl')
  const directory = newDirectory()
  const receiver = await Receiver.open()
  open.push(receiver)
  const { ports } = await startExample('events/pub-sub-http.md', {
    env: { MAILER: receiver.url },
    edit: (yaml) => yaml.replace('127.0.0.1:8080', '127.0.0.1:0').replace('./data', `${directory}/data`),
  })
  for (const index of [0, 1]) {
    const script = blockOf('events/pub-sub-http.md', 'sh', index).replaceAll(':8080', `:${ports[0]!}`)
    const { stdout } = await run('bash', ['-c', script], { cwd: directory })
    expect(stdout.trim()).toBe(blockOf('events/pub-sub-http.md', 'txt', index).trim())
  }
  await receiver.until(({ length }) => length === 1)
  expect(receiver.received[0]!.event).toMatchObject({ id: '4711', data: { total: 30 } })
})
