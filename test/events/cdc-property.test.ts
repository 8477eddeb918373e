import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { captureChanges, openLog } from '../../src/events/index.js'
import { foldTopic, tableRows } from '../support/capture.js'
import { SEED, times } from '../support/effort.js'
import { postgresMissing, PostgresServer } from '../support/postgres.js'

const id = fc.integer({ min: 1, max: 8 })
/** Above 2 kB values are kept beside the row, and an update that leaves them alone does not send them. */
const text = fc.oneof(
  fc.constant(null),
  fc.string({ maxLength: 5 }),
  fc.constantFrom('a', 'b').map((c) => c.repeat(5000)),
)
const value = text.map((each) =>
  each === null ? 'NULL' : `'${each.replaceAll("'", "''").replaceAll('\0', '')}'`,
)

/** One statement; those that the table refuses change nothing. */
const statement = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(id, value, value)
      .map(([i, a, b]) => `INSERT INTO things VALUES (${i}, ${a}, ${b}, ARRAY[${i}], '{"i": ${i}}')`),
  },
  { weight: 3, arbitrary: fc.tuple(id, value).map(([i, a]) => `UPDATE things SET a = ${a} WHERE id = ${i}`) },
  { weight: 2, arbitrary: fc.tuple(id, id).map(([i, j]) => `UPDATE things SET id = ${j} WHERE id = ${i}`) },
  { weight: 1, arbitrary: fc.constant('UPDATE things SET id = id + 100, n = NULL WHERE id < 4') },
  { weight: 2, arbitrary: id.map((i) => `DELETE FROM things WHERE id = ${i}`) },
  { weight: 1, arbitrary: fc.constant('UPDATE things SET n = n || 1') },
  { weight: 1, arbitrary: fc.constant('TRUNCATE things') },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom('FULL', 'DEFAULT')
      .map((kind) => `ALTER TABLE things REPLICA IDENTITY ${kind}`),
  },
)

const step = fc.oneof(
  { weight: 5, arbitrary: statement.map((sql) => [sql]) },
  {
    weight: 3,
    arbitrary: fc
      .tuple(
        fc.array(statement, { minLength: 1, maxLength: 5 }),
        fc.constantFrom('COMMIT', 'COMMIT', 'ROLLBACK'),
      )
      // A statement that is refused takes back itself alone.
      .map(([all, end]) => ['BEGIN', ...all.flatMap((sql) => ['SAVEPOINT s', sql, 'RELEASE s']), end]),
  },
  { weight: 1, arbitrary: fc.constantFrom(['restart'], ['resnapshot'], ['quiet']) },
)

describe.skipIf(postgresMissing())('change data capture', () => {
  test(
    `whatever is done to a table, the log comes to say what it has (seed ${SEED})`,
    { timeout: 120_000 },
    async () => {
      await using server = await PostgresServer.start()
      await using log = await openLog('memory:')
      const db = await server.connect()
      await db.query('CREATE TABLE things (id int PRIMARY KEY, a text, b text, n int[], j jsonb)')
      await db.query('ALTER TABLE things ALTER a SET STORAGE EXTERNAL, ALTER b SET STORAGE EXTERNAL')
      const start = () =>
        captureChanges({
          from: server.url(),
          name: 'things',
          log,
          tables: { things: { topic: 'thing' } },
          batch: 3,
        })
      let capture = await start()
      const expectSame = async (): Promise<void> => {
        await capture.caughtUp()
        expect(await foldTopic(log, 'thing')).toEqual(await tableRows(db, 'things', 'thing'))
      }
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
          await db.query('TRUNCATE things')
          for (const [first = '', ...rest] of steps)
            if (first === 'quiet') await expectSame()
            else if (first === 'resnapshot') await capture.resnapshot()
            else if (first === 'restart') {
              await capture.close()
              capture = await start()
            } else
              for (const sql of [first, ...rest])
                await db.query(sql).catch(() => (rest.length > 0 ? db.query('ROLLBACK TO s') : undefined))
          await expectSame()
        }),
        { numRuns: times(25), seed: SEED },
      )
      await capture.close()
      await db.end()
    },
  )
})
