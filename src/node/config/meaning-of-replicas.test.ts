import { expect, test } from 'vitest'
import { checkWhole } from './load.js'
import { formatProblem } from './problem.js'
import { redact } from './redact.js'
import { readYaml } from './yaml-source.js'

const GOOD = `listen: 8080
services: {}
routes: { ok: { match: {}, respond: { status: 204 } } }
events:
  driver: memory
  follow: { leader: 'http://10.0.0.1:8080/events', headers: { x-api-key: secret }, fallback: none }
coordination: { driver: memory }
replicas:
  shop:
    nodes: { a: 'postgres://app:secret@10.0.0.1/shop', b: 'postgres://app:secret@10.0.0.2/shop' }
    ttl: 5s
`

async function problemsOf(from: string, to: string): Promise<string[]> {
  expect(GOOD).toContain(from)
  const loaded = await checkWhole('f', readYaml(GOOD.replace(from, to), {}))
  const found = loaded.ok ? loaded.warnings : loaded.problems
  return found
    .map((each) => formatProblem(each).slice(2))
    .filter((each) => !/memory (keeps|is seen)/.test(each))
}

const LEADER = "{ leader: 'http://10.0.0.1:8080/events', headers: { x-api-key: secret }, fallback: none }"
const B = "b: 'postgres://app:secret@10.0.0.2/shop'"

test.each([
  ['ttl: 5s', 'ttl: 5s', []],
  [LEADER, 'http://127.0.0.1:8081', []],
  [LEADER, 'http://[::1]:8081/', []],
  [
    LEADER,
    'http://leader:8081',
    ['6:11: events.follow: an admin listener is asked by address or as localhost'],
  ],
  [LEADER, 'leader:8081', ['events.follow: must be a URL such as http://leader:8081']],
  ["'http://10.0.0.1:8080/events'", "'http://a b'", ['events.follow.leader: must be a URL such as']],
  ["'http://10", "'http://till:secret@10", ['events.follow.leader: has a user or a password']],
  ['8080/events', '8080/events?a=1', ['events.follow.leader: must end with its path']],
  ['fallback: none', 'fallbak: none', ['unknown key `fallbak`, did you mean `fallback`?']],
  ['fallback: none', 'fallback: none, heartbeat: 0', ['events.follow.heartbeat: must be 1ms at least']],
  ['driver: memory\n', 'driver: postgres\n  url: postgres://h/d\n', ['postgres has replication of its own']],
  [
    'events:\n  driver: memory\n',
    'workers: 2\nevents:\n  driver: sqlite\n  path: ./copy\n',
    ['events.follow: a copy is kept by one process', 'coordination.driver: memory belongs to one process'],
  ],
  [
    'routes:',
    'topics: { order: {} }\noutboxes: { till: { database: sqlite:./till.db } }\nroutes:',
    ['topics: has no place here: it writes', 'outboxes: has no place here: it writes'],
  ],
  [
    'routes: { ok: { match: {}, respond: { status: 204 } } }',
    'routes: { log: { match: {}, events: { public: true, allow: [read, replicate], streams: [a] } } }',
    ['events.allow: whoever may replicate gets the whole log', 'events.streams: contradicts `replicate`'],
  ],
  [B, "b: 'sqlite:./b.db'", ['replicas.shop.nodes.b: must be a URL such as postgres://']],
  [B, "b: 'postgres://a b'", ['replicas.shop.nodes.b: must be a URL such as postgres://']],
  [B, "b: 'postgres://other@10.0.0.1/other'", ['replicas.shop.nodes.b: is the server `a`, too']],
  [`, ${B}`, '', ['replicas.shop.nodes: is one server: there is nobody to take its place']],
  ['coordination: { driver: memory }', '', ['replicas.shop.ttl: has no effect without `coordination`']],
  ['ttl: 5s', 'ttl: 50ms', ['replicas.shop.ttl: must be']],
  ['  shop:', '  events:', ['is what the event log of the node is called']],
])('replicas: with %s as %s', async (from, to, expected) => {
  const problems = await problemsOf(from, to)
  expect(problems).toHaveLength(expected.length)
  for (const [index, each] of expected.entries()) expect(problems[index]).toContain(each)
  expect(problems.join()).not.toContain('secret')
})

test('passwords and keys are shown to nobody', () => {
  const shown = JSON.stringify(redact(readYaml(GOOD, {}).value))
  expect(shown).toContain('10.0.0.2')
  expect(shown).not.toContain('secret')
})
