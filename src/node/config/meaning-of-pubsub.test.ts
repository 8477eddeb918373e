import { describe, expect, test } from 'vitest'
import { checkSource } from './load.js'
import { readYaml } from './yaml-source.js'

const AROUND = `listen: 8080
services: { mailer: { endpoints: [http://127.0.0.1:1], policy: patient }, slow: { endpoints: [http://127.0.0.1:2], policy: slow }, stale: { endpoints: [http://127.0.0.1:3], policy: stale } }
policies: { patient: { timeout: 1s }, slow: { timeout: 1m }, stale: { fallback: { status: 200 } } }
routes: { all: { match: {}, to: [{ service: slow }, { service: stale }] } }
`

/** What is said of what stands below, with line and column. */
function problemsOf(yaml: string): string[] {
  const loaded = checkSource('banyan.yaml', readYaml(`${AROUND}${yaml}`, {}))
  const problems = loaded.ok ? loaded.warnings : loaded.problems
  return problems.map(
    ({ severity, line, column, path, message }) =>
      `${severity} ${(line ?? 0) - 4}:${column} ${path.join('.')}: ${message}`,
  )
}

const EVENTS = `events: { driver: sqlite, path: ./data }
`
const subscription = (text: string): string => `${EVENTS}subscriptions:
  a: ${text}
`

test('topics and subscriptions that are right are not complained about', () => {
  expect(
    problemsOf(`${EVENTS}topics: { orders: { types: [OrderPlaced] }, stock: {} }
subscriptions:
  mailer:
    topic: orders
    types: [OrderPlaced]
    tags: ['customer:7']
    key: data.customer
    from: 2026-01-01
    partitions: 8
    delivery: at-least-once
    deadline: 10s
    attempts: 7
    backoff: { base: 1s, factor: 3, max: 1m }
    park: message
    window: 100
    push: { service: mailer, path: /hook, secret: [{ env: A }, { file: b }], format: binary, concurrency: 3 }
  audit: { topic: '*', from: start }
  other: { topic: stock, push: { url: 'https://other.example/hook' } }
`),
  ).toEqual([])
})

describe('what is told at its place', () => {
  test.each<[string, string[]]>([
    [
      'topics: { orders: {} }\n',
      [
        'error 1:1 topics: there is no event log; say at the top which one: `events: { driver: sqlite, path: ./data }`',
      ],
    ],
    [
      'subscriptions: { a: { topic: orders } }\n',
      [
        'error 1:18 subscriptions.a: there is no event log; say at the top which one: `events: { driver: sqlite, path: ./data }`',
      ],
    ],
    [`${EVENTS}topics: { a-b: {} }\n`, ['error 2:11 topics.a-b: must not have a `-`: a topic is a category']],
    [
      subscription('{ topic: order-1 }'),
      [
        'error 3:15 subscriptions.a.topic: must be a category, which has no dash and does not begin with $, or *',
      ],
    ],
    [
      `${EVENTS}topics: { orders: { types: [OrderPlaced] } }\nsubscriptions: { a: { topic: order }, b: { topic: orders, types: [OrderPlace] } }\n`,
      [
        'error 3:30 subscriptions.a.topic: unknown topic `order`, did you mean `orders`?',
        'error 3:67 subscriptions.b.types.0: unknown type of the topic `orders` `OrderPlace`, did you mean `OrderPlaced`?',
      ],
    ],
    [
      subscription('{ topic: orders, atempts: 3 }'),
      ['error 3:23 subscriptions.a.atempts: unknown key `atempts`, did you mean `attempts`?'],
    ],
    [subscription('{ topic: orders, where: x }'), ['error 3:23 subscriptions.a.where: unknown key `where`']],
    [
      subscription('{ topic: orders, delivery: effectively-once }'),
      [
        'error 3:33 subscriptions.a.delivery: must be one of "at-least-once", "at-most-once", got "effectively-once"',
      ],
    ],
    [
      subscription('{ topic: orders, from: yesterday }'),
      ['error 3:29 subscriptions.a.from: must be start, end, a time of ISO 8601, or a position'],
    ],
    [
      subscription('{ topic: orders, key: "data[" }'),
      ['error 3:28 subscriptions.a.key: `data[` is not a JMESPath expression'],
    ],
    [
      subscription('{ topic: orders, push: {} }'),
      ['error 3:23 subscriptions.a.push: must say where to: `service` or `url`'],
    ],
    [
      subscription('{ topic: orders, push: { service: mailr } }'),
      ['error 3:40 subscriptions.a.push.service: unknown service `mailr`, did you mean `mailer`?'],
    ],
    [
      subscription('{ topic: orders, push: { url: "http://x", service: mailer, path: /y } }'),
      [
        'error 3:48 subscriptions.a.push.service: contradicts `url`, which says all of it',
        'error 3:65 subscriptions.a.push.path: contradicts `url`, which says all of it',
      ],
    ],
    [
      subscription('{ topic: orders, push: { url: "ftp://x" } }'),
      ['error 3:36 subscriptions.a.push.url: must be an http or https URL, without credentials'],
    ],
    [
      subscription('{ topic: orders, push: { service: slow } }'),
      [
        'warning 3:40 subscriptions.a.push.service: the `timeout` of its policy `slow` is longer than the `deadline` of the subscription, and never ends a try',
      ],
    ],
    [
      subscription('{ topic: orders, push: { service: stale } }'),
      [
        'error 3:40 subscriptions.a.push.service: its policy `stale` has a `fallback`: that would acknowledge messages which nobody has got',
      ],
    ],
    [
      `workers: 2\n${subscription('{ topic: orders }')}`,
      [
        'error 4:3 subscriptions.a: needs `push`, or `workers: 1`: of several processes each has its own messages, and clients cannot choose which they ask',
      ],
    ],
  ])('%s', (yaml, expected) => {
    const found = problemsOf(yaml).filter((each) => !each.includes('is used by no route'))
    expect(found).toHaveLength(expected.length)
    for (const [index, each] of expected.entries()) expect(found[index]).toContain(each)
  })
})

test('a service that gets messages is used', () => {
  const found = problemsOf(subscription('{ topic: orders, push: { service: mailer } }'))
  expect(found).toEqual([])
})
