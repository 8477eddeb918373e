import Database from 'better-sqlite3'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { openLog, type Batch, type EventLog, type ReadOptions, type Selector } from '../../events/index.js'

const root = mkdtempSync(join(tmpdir(), 'banyan-damage-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

/** Enough for the indexes, and some events that are not in them. */
const COMMITS = 300

const template = join(root, 'template.db')

/** Three streams of one category, one of another; every third event has a tag. */
async function fill(file: string): Promise<void> {
  const log = await openLog(`sqlite:${file}`)
  for (let number = 0; number < COMMITS; number++) {
    const stream = number % 10 === 9 ? 'stock-1' : `order-${number % 3}`
    const tags = number % 3 === 0 ? ['customer:7'] : []
    await log.append({
      id: `c${number}`,
      streams: [
        { stream, events: [{ id: `e${number}`, type: `Type${number % 2}`, data: { number }, tags }] },
      ],
    })
  }
  await log.close()
}
await fill(template)

/** Opens a copy that SQL has damaged. */
async function damagedBy(sql: string): Promise<EventLog> {
  const file = join(root, `${sql.replace(/\W+/g, '-').slice(0, 150)}.db`)
  const original = new Database(template)
  original.prepare('VACUUM INTO ?').run(file)
  original.close()
  const db = new Database(file)
  db.exec(sql)
  expect(db.prepare('SELECT total_changes() AS changes').get()).not.toEqual({ changes: 0 })
  db.close()
  return openLog(`sqlite:${file}`)
}

async function countOf(log: EventLog, selector: Selector, options: ReadOptions): Promise<number | string> {
  let count = 0
  try {
    for await (const event of log.read(selector, options)) count += event.position ? 1 : 0
  } catch (error) {
    return (error as { code: string }).code
  }
  return count
}

async function findings(log: EventLog): Promise<string[]> {
  const messages: string[] = []
  for await (const finding of log.verify()) messages.push(finding.ok ? 'ok' : finding.message)
  return messages
}

const CORRUPT = 'BANYAN_LOG_CORRUPT'

/** What is done to the file, what of the reads meets it, and how many events the others give. */
const DAMAGES: readonly {
  name: string
  sql: string
  met: readonly Selector[]
  unharmed: readonly (readonly [Selector, number])[]
}[] = [
  {
    name: 'an event is gone',
    // Of order-0, the category order, and the tag.
    sql: 'DELETE FROM events WHERE position = 61',
    met: [{}, { stream: 'order-0' }, { category: 'order' }, { tags: ['customer:7'] }, { types: ['Type0'] }],
    unharmed: [
      [{ stream: 'order-1' }, 90],
      [{ category: 'stock' }, 30],
    ],
  },
  {
    name: 'the last events are gone',
    sql: 'DELETE FROM events WHERE position > 298',
    met: [{}, { types: ['Type1'] }],
    unharmed: [[{ stream: 'order-0' }, 90]],
  },
  {
    name: 'an event has another type',
    sql: `UPDATE events SET type = 'Type1' WHERE position = 61`,
    met: [{}, { types: ['Type0'] }, { types: ['Type1'] }, { category: 'order', types: ['Type0'] }],
    unharmed: [[{ stream: 'order-1' }, 90]],
  },
  {
    name: 'an event has come to another stream',
    sql: `UPDATE events SET stream = (SELECT id FROM streams WHERE name = 'order-1') WHERE position = 61`,
    met: [{}, { stream: 'order-0' }],
    unharmed: [[{ category: 'stock' }, 30]],
  },
  {
    name: 'an event was recorded at another time',
    sql: 'UPDATE events SET recorded = recorded + 1 WHERE position = 61',
    met: [{}, { stream: 'order-0' }],
    unharmed: [[{ stream: 'order-1' }, 90]],
  },
  {
    name: 'an entry of the index of streams is gone',
    sql: `DELETE FROM stream_index WHERE position = 61`,
    met: [{ stream: 'order-0' }],
    unharmed: [[{}, COMMITS]],
  },
  {
    name: 'an entry of the index of categories is gone',
    sql: `DELETE FROM category_index WHERE position = 61`,
    met: [{ category: 'order' }],
    unharmed: [[{}, COMMITS]],
  },
  {
    name: 'the last entries of the index of categories are gone',
    sql: `DELETE FROM category_index WHERE position > 230`,
    met: [{ category: 'order' }, { category: 'stock' }],
    unharmed: [[{}, COMMITS]],
  },
  {
    name: 'an entry of the index of categories leads elsewhere',
    sql: `UPDATE category_index SET position = 70 WHERE position = 61`,
    met: [{ category: 'order' }],
    unharmed: [[{}, COMMITS]],
  },
  {
    name: 'an entry of the index of tags is gone',
    sql: `DELETE FROM tag_index WHERE position = 61`,
    met: [{ tags: ['customer:7'] }],
    unharmed: [[{}, COMMITS]],
  },
  {
    name: 'where the log ends was changed',
    sql: 'UPDATE log SET head = 200',
    met: [],
    unharmed: [],
  },
  {
    name: 'the name of a stream was changed',
    sql: `UPDATE streams SET name = 'order-3' WHERE name = 'order-0'`,
    met: [{}, { stream: 'order-3' }],
    unharmed: [[{ stream: 'order-1' }, 90]],
  },
  {
    name: 'the end of a stream was changed',
    sql: `UPDATE streams SET last = last - 1 WHERE name = 'order-0'`,
    met: [{ stream: 'order-0' }],
    unharmed: [[{ stream: 'order-1' }, 90]],
  },
]

test.each(DAMAGES)(
  '$name: readers that meet it are told, verify finds it',
  async ({ sql, met, unharmed }) => {
    let log
    try {
      log = await damagedBy(sql)
    } catch (error) {
      // Where even opening meets it.
      expect(error).toMatchObject({ code: CORRUPT })
      expect(met).toEqual([])
      return
    }
    for (const selector of met)
      for (const backwards of [false, true])
        expect([selector, backwards, await countOf(log, selector, { backwards })]).toEqual([
          selector,
          backwards,
          CORRUPT,
        ])
    for (const [selector, count] of unharmed) expect(await countOf(log, selector, {})).toBe(count)
    expect(await findings(log)).not.toContain('ok')
    await log.close()
  },
)

test('what SQL has not damaged is fine', async () => {
  const log = await damagedBy(
    'CREATE TABLE t (a); DROP TABLE t; UPDATE holds SET position = 1; DELETE FROM holds; INSERT INTO holds VALUES (1, 1)',
  )
  expect(await findings(log)).toEqual(['ok'])
  await log.close()
})

test.each([
  ['the index of ids', "DELETE FROM id_index WHERE id = 'c60'", 'c60'],
  ['the index of ids given to events', "DELETE FROM id_index WHERE id = 'e60'", 'e60'],
  ['a tag', `UPDATE events SET tags_previous = '[1]' WHERE position = 61`, 'customer:7'],
  ['a category', 'UPDATE events SET category_previous = 3 WHERE position = 61', '3'],
  ['the count of events', 'UPDATE log SET events = 7', 'where the log ends'],
])('verify finds damage to %s', async (_, sql, told) => {
  try {
    const log = await damagedBy(sql)
    expect((await findings(log)).join('\n')).toContain(told)
    await log.close()
  } catch (error) {
    expect((error as Error).message).toContain(told)
  }
})

test('what is before a damaged event is read and followed, then it is told', async () => {
  const log = await damagedBy(`UPDATE events SET data = '{"number":1000}' WHERE position = 101`)
  const seen: string[] = []
  const reading = (async () => {
    for await (const { position } of log.read()) seen.push(position)
  })()
  await expect(reading).rejects.toMatchObject({ code: CORRUPT })
  expect(seen.length).toBe(100)

  const following = log.follow()[Symbol.asyncIterator]()
  const { value: batch } = (await following.next()) as IteratorYieldResult<Batch>
  expect(batch).toMatchObject({ position: seen.at(-1), caughtUp: false })
  expect(batch.events.length).toBe(100)
  await expect(following.next()).rejects.toMatchObject({ code: CORRUPT })
  await log.close()
})
