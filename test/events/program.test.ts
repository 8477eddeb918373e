import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { newDirectory } from '../support/logs.js'

test('a program on the command line has a log, too: what it is started with does not come to its threads', async () => {
  const code = `
    import { openLog } from 'banyan/events'
    const log = await openLog({ driver: 'sqlite', path: process.argv[1] })
    await log.append({ streams: [{ stream: 'order-1', events: [{ type: 'Placed' }] }] })
    for await (const { type } of log.read()) console.log(type)
    for await (const finding of log.verify()) console.log(finding)
    await log.close()
  `
  const started = ['--input-type=module', '-e', code, newDirectory()]
  const { stdout, stderr } = await promisify(execFile)(process.execPath, started, { timeout: 25_000 })
  expect([stdout, stderr]).toEqual(['Placed\n{ ok: true, events: 1, streams: 1 }\n', ''])
})
