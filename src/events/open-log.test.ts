import { expect, it } from 'vitest'
import { openLog } from './index.js'

it.each<[unknown, string, RegExp]>([
  [42, 'BANYAN_DRIVER_MISSING', /42 is no place of an event log; a log is opened as memory:/],
  [null, 'BANYAN_DRIVER_MISSING', /null is no place/],
  ['sqlite', 'BANYAN_DRIVER_MISSING', /"sqlite" is no place of an event log/],
  ['sqlite:', 'BANYAN_DRIVER_MISSING', /without a path/],
  ['sqllite:./data', 'BANYAN_DRIVER_MISSING', /did you mean sqlite\?/],
  [{ driver: 'sqlite' }, 'BANYAN_INVALID_OPTIONS', /path is missing/],
  [
    { driver: 'sqlite', path: './data', lockwait: '1s' },
    'BANYAN_INVALID_OPTIONS',
    /lockwait is not an option, did you mean `lockWait`/,
  ],
])('openLog(%j) says what is wrong', async (where, code, message) => {
  await expect(openLog(where as string)).rejects.toMatchObject({
    code,
    message: expect.stringMatching(message) as string,
  })
})

it('a name that no stream can have has no revision', async () => {
  const log = await openLog('memory:')
  await expect(log.revision('')).rejects.toMatchObject({ code: 'BANYAN_INVALID_SELECTOR' })
  expect(() => log.follow({}, { batchSize: 3 } as object)).not.toThrow()
  await expect(
    log
      .follow({}, { batchSize: 3 } as object)
      [Symbol.asyncIterator]()
      .next(),
  ).rejects.toThrow('batchSize is not an option of following')
  await log.close()
})

it('who reads again and again lets appends through', async () => {
  const log = await openLog('memory:')
  const appended = new AbortController()
  setImmediate(() => {
    void log.append({ streams: [{ stream: 'a', events: [{ type: 'A' }] }] }).then(() => appended.abort())
  })
  let events = 0
  // Without a turn of the event loop this would go on for ever.
  while (!appended.signal.aborted) for await (const { revision } of log.read()) events += revision + 1
  expect(events).toBeLessThanOrEqual(1)
  expect(await log.revision('a')).toBe(0)
  await log.close()
})
