import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { openDriver } from '../../src/drivers/open-log.js'
import { formatPosition } from '../../src/events/position.js'
import { openLog } from '../../src/events/index.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'

const EVENTS = 40

const server = PostgresServer.ofSuite()

describe.skipIf(postgresMissing())('pages of a stream on PostgreSQL', () => {
  test('read by the function are those of the statement for everything else', async () => {
    const url = await server.database()
    await using log = await openLog(url)
    for (let n = 0; n < EVENTS; n++)
      for (const stream of ['a-1', 'b-1'])
        await log.append({ streams: [{ stream, events: [{ type: 'T', data: { n }, tags: ['t'] }] }] })
    await log.truncate({ stream: 'a-1', beforeRevision: 3 })
    // As if some were so large that a page ends with them.
    await server.query('UPDATE banyan.events SET size = 1500000 WHERE revision % 7 = 0', [], url)
    await server.query('UPDATE banyan.events SET size = 9000000 WHERE revision % 11 = 5', [], url)
    const driver = await openDriver({ driver: 'postgres', url })
    const place = fc.nat(2 * EVENTS + 5)
    const revision = fc.nat(EVENTS + 2)
    const query = fc.record(
      {
        stream: fc.constantFrom('a-1', 'b-1', 'c-1'),
        after: fc.oneof(fc.constant(0), place).map(formatPosition),
        limit: fc.integer({ min: 1, max: EVENTS + 2 }),
        upTo: place.map(formatPosition),
        fromRevision: revision,
        toRevision: revision,
      },
      { requiredKeys: ['stream', 'after', 'limit'] },
    )
    await fc.assert(
      fc.asyncProperty(query, async (query) => {
        const page = await driver.read({ ...query, backwards: false })
        expect(page).toEqual(await driver.read({ ...query, types: ['T'], backwards: false }))
      }),
      { numRuns: 300 },
    )
    await driver.close()
  })
})
