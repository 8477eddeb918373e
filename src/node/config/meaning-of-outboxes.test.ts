import { expect, test } from 'vitest'
import { checkWhole } from './load.js'
import { formatProblem } from './problem.js'
import { readYaml } from './yaml-source.js'

const GOOD = `listen: 8080
services: {}
routes: { ok: { match: {}, respond: { status: 204 } } }
events: { driver: sqlite, path: ./data }
outboxes:
  shop: { database: 'postgres://app:secret@localhost/shop', batch: 100, poll: 5s, attempts: 3 }
  till: { database: 'sqlite:./till.db' }
`

async function problemsOf(from: string, to: string): Promise<string[]> {
  expect(GOOD).toContain(from)
  const loaded = await checkWhole('f', readYaml(GOOD.replace(from, to), {}))
  return (loaded.ok ? loaded.warnings : loaded.problems).map((each) => formatProblem(each).slice(2))
}

test.each([
  ['batch: 100', 'batch: 100', []],
  [
    'events: { driver: sqlite, path: ./data }',
    '',
    ['there is no event log to relay to', 'there is no event log to relay to'],
  ],
  [
    "'sqlite:./till.db'",
    "'memory:'",
    ['7:21: outboxes.till.database: must be sqlite:./app.db or postgres://'],
  ],
  ["'sqlite:./till.db'", "'postgres://a b'", ['outboxes.till.database: must be a URL such as']],
  ['poll: 5s', 'poll: 0', ['6:79: outboxes.shop.poll: must be 1ms at least']],
  [
    "'sqlite:./till.db'",
    "'postgres://app:secret@localhost/shop'",
    ['outboxes.till.database: is that of the outbox `shop`, too'],
  ],
  ['attempts', 'atempts', ['unknown key `atempts`, did you mean `attempts`?']],
])('outboxes: with %s as %s', async (from, to, expected) => {
  const problems = await problemsOf(from, to)
  expect(problems).toHaveLength(expected.length)
  for (const [index, each] of expected.entries()) expect(problems[index]).toContain(each)
  expect(problems.join()).not.toContain('secret')
})
