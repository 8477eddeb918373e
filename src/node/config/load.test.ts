import { readFileSync, writeFileSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { jsonSchema } from './json-schema.js'
import { checkSource, loadConfig } from './load.js'
import { formatProblem } from './problem.js'
import { readYaml } from './yaml-source.js'

const GOOD = `listen: 127.0.0.1:8080
services:
  orders: { endpoints: [http://127.0.0.1:4001], policy: patient }
policies:
  patient: { timeout: 2s, retry: { attempts: 3 } }
routes:
  orders: { match: { path: /orders/* }, to: orders }
`

/** What a person reads, without the name of the file. */
function problemsOf(text: string): string[] {
  const loaded = checkSource('f', readYaml(text, {}))
  return (loaded.ok ? loaded.warnings : loaded.problems).map(
    (problem) => `${problem.severity === 'warning' ? 'warning ' : ''}${formatProblem(problem).slice(2)}`,
  )
}

/** The good configuration with one line changed. */
function changed(from: string, to: string): string {
  expect(GOOD).toContain(from)
  return GOOD.replace(from, () => to)
}

test('a good configuration is taken as it is written, with defaults', () => {
  const loaded = checkSource('f', readYaml(GOOD, {}))
  expect({ ...loaded, source: undefined }).toEqual({
    ok: true,
    file: 'f',
    files: ['f'],
    warnings: [],
    spec: {
      workers: 1,
      accessLog: false,
      listen: ['127.0.0.1:8080'],
      admin: '127.0.0.1:8081',
      drain: { delay: 0, grace: '10s' },
      trust: [],
      limits: {},
      services: { orders: { endpoints: ['http://127.0.0.1:4001'], policy: 'patient' } },
      policies: { patient: { timeout: '2s', retry: { attempts: 3 } } },
      routes: { orders: { match: { path: '/orders/*' }, to: 'orders' } },
    },
  })
})

test.each([
  'events: { driver: sqlite, path: ./data }',
  'coordination: { driver: sqlite, path: ./data }',
  'replicas: { main: { nodes: { a: "postgres://a/main", b: "postgres://b/main" } } }',
])('a node that is no gateway needs nothing of one: %s', (text) => {
  const loaded = checkSource('f', readYaml(text, {}))
  expect(loaded).toMatchObject({ ok: true, warnings: [], spec: { listen: [], services: {}, routes: {} } })
})

describe('a mistake is told with its place and what to do', () => {
  describe('the text', () => {
    test.each([
      ['an empty file', GOOD, '', ['1:1: the file is empty']],
      ['only a comment', GOOD, '# later\n', ['1:1: the file is empty']],
      ['a list', GOOD, '- listen\n', ['1:1: must be an object, got ["listen"]']],
      [
        'two documents',
        'routes:',
        '---\nroutes:',
        ['6:1: a second document begins here; a configuration is one'],
      ],
      ['a tab', '  patient', '	patient', ['5:1: Tabs are not allowed as indentation']],
      [
        'an object that is not closed',
        ', to: orders }',
        ', to: orders',
        ['8:1: Flow map in block collection must be sufficiently indented and end with a }'],
      ],
      ['a tag', '2s', '!duration 2s', ['5:23: Unresolved tag: !duration']],
      ['an alias of nothing', '2s', '*patience', ['5:23: there is no anchor `&patience` above this alias']],
      ['a name that stands twice', 'services:', 'listen: 1\nservices:', ['2:1: this name stands here twice']],
      [
        'a route that stands twice',
        'routes:\n',
        'routes:\n  orders: { match: {}, to: orders }\n',
        ['8:3: this name stands here twice'],
      ],
      ['a name that is no text', 'services:', '? [a, b]\n: 1\nservices:', ['2:3: a name must be plain text']],
      [
        'a name that JavaScript takes for itself',
        '  orders: { endpoints',
        '  __proto__: {}\n  orders: { endpoints',
        ['3:3: `__proto__` cannot be a name'],
      ],
    ])('%s', (_name, from, to, expected) => {
      expect(problemsOf(changed(from, to))).toEqual(expected)
    })
  })

  describe('unknown and missing keys', () => {
    test.each([
      [
        'unknown, at the top',
        'services:',
        'polices: {}\nservices:',
        [
          '2:1: polices: unknown key `polices`; known are $schema, listen, admin, zone, services, policies, authenticators, quotas, maintenance, routes, events, topics, subscriptions, projections, outboxes, cdc, sagas, coordination, register, shards, replicas, resources, kinds, controllers, drain, workers, accessLog, trust, limits',
        ],
      ],
      [
        'unknown, like nothing',
        'services:',
        'whatever: {}\nservices:',
        [
          '2:1: whatever: unknown key `whatever`; known are $schema, listen, admin, zone, services, policies, authenticators, quotas, maintenance, routes, events, topics, subscriptions, projections, outboxes, cdc, sagas, coordination, register, shards, replicas, resources, kinds, controllers, drain, workers, accessLog, trust, limits',
        ],
      ],
      [
        'of a later plane',
        'services:',
        'workloads: { shop: {} }\nservices:',
        ['2:1: workloads: `workloads` is not supported by this version'],
      ],
      [
        'unknown, deep inside',
        'attempts: 3',
        'attempt: 3',
        ['5:36: policies.patient.retry.attempt: unknown key `attempt`, did you mean `attempts`?'],
      ],
      [
        'unknown, in a choice of forms',
        '[http://127.0.0.1:4001]',
        '[{ uri: http://a:1 }]',
        [
          '3:25: services.orders.endpoints[0].url: is missing',
          '3:27: services.orders.endpoints[0].uri: unknown key `uri`, did you mean `url`?',
        ],
      ],
      [
        'a merge key',
        'timeout: 2s',
        '<<: { hedge: {} }, timeout: 2s',
        [
          '5:14: policies.patient.<<: unknown key `<<`; known are timeout, tryTimeout, retry, hedge, breaker, bulkhead, rateLimit, fallback',
        ],
      ],
      [
        'missing, at the top',
        'routes:\n  orders: { match: { path: /orders/* }, to: orders }\n',
        '',
        ['1:1: routes: is missing'],
      ],
      [
        'missing, of a gateway',
        GOOD,
        'admin: 8081\n',
        ['1:1: listen: is missing', '1:1: routes: is missing'],
      ],
      [
        'missing, where there is more than a gateway',
        'listen: 127.0.0.1:8080',
        'events: { driver: sqlite, path: ./data }',
        ['1:1: listen: is missing'],
      ],
      [
        'missing, of clients nobody lets in',
        GOOD,
        'coordination: { driver: sqlite, path: ./data }\nauthenticators: {}\n',
        ['1:1: listen: is missing', '1:1: routes: is missing'],
      ],
      [
        'missing, of a service',
        'endpoints: [http://127.0.0.1:4001], ',
        '',
        [
          '3:3: services.orders: must say where it is: `endpoints`, or `registry` if its instances are registered',
        ],
      ],
      ['missing, of a route', 'match: { path: /orders/* }, ', '', ['7:3: routes.orders.match: is missing']],
      [
        'missing, of a policy',
        'timeout: 2s',
        'timeout: 2s, rateLimit: { limit: 5 }',
        ['5:27: policies.patient.rateLimit.window: is missing'],
      ],
    ])('%s', (_name, from, to, expected) => {
      expect(problemsOf(changed(from, to))).toEqual(expected)
    })
  })

  describe('kinds', () => {
    test.each([
      [
        'nothing',
        'listen: 127.0.0.1:8080',
        'listen:',
        ['1:8: listen: must be a number or text or an object or a list, got nothing'],
      ],
      [
        'an object of nothing',
        '{ timeout: 2s, retry: { attempts: 3 } }',
        '',
        ['5:12: policies.patient: must be an object, got nothing'],
      ],
      [
        'text for a number',
        'attempts: 3',
        'attempts: three',
        ['5:46: policies.patient.retry.attempts: must be a number, got "three"'],
      ],
      [
        'a fraction for a whole number',
        'attempts: 3',
        'attempts: 1.5',
        ['5:46: policies.patient.retry.attempts: must be a whole number, got 1.5'],
      ],
      [
        'a number for text',
        'path: /orders/*',
        'path: /orders/*, headers: { x: 5 }',
        ['7:53: routes.orders.match.headers.x: must be text, got 5; write "5"'],
      ],
      [
        'text for a list',
        '[http://127.0.0.1:4001]',
        'http://127.0.0.1:4001',
        ['3:24: services.orders.endpoints: must be a list, got "http://127.0.0.1:4001"'],
      ],
      [
        'a list for an object',
        '  orders: { endpoints: [http://127.0.0.1:4001], policy: patient }',
        '  - orders',
        ['3:3: services: must be an object, got ["orders"]'],
      ],
      [
        'a number for an object',
        '{ attempts: 3 }',
        '3',
        ['5:34: policies.patient.retry: must be an object, got 3'],
      ],
      [
        'text for true or false',
        'to: orders',
        'to: orders, upgrade: yes',
        ['7:62: routes.orders.upgrade: must be true or false, got "yes"'],
      ],
      [
        'true for an address',
        'services:',
        'admin: true\nservices:',
        ['2:8: admin: must be false or a number or text, got true'],
      ],
      ['no entry', 'listen: 127.0.0.1:8080', 'listen: []', ['1:9: listen: must have one entry at least']],
      [
        'one entry of a list',
        'listen: 127.0.0.1:8080',
        'listen: [1, {}]',
        ['1:13: listen[1].address: is missing'],
      ],
    ])('%s', (_name, from, to, expected) => {
      expect(problemsOf(changed(from, to))).toEqual(expected)
    })
  })

  describe('durations, sizes, numbers', () => {
    test.each([
      [
        'text that is no duration',
        '2s',
        '2 seconds',
        [
          '5:23: policies.patient.timeout: must be a number of milliseconds or text such as "250ms", "5s", "2m", got "2 seconds"',
        ],
      ],
      [
        'a negative duration',
        '2s',
        '-5',
        [
          '5:23: policies.patient.timeout: must be a number of milliseconds or text such as "250ms", "5s", "2m", got -5',
        ],
      ],
      [
        'an endless duration',
        '2s',
        '.inf',
        [
          '5:23: policies.patient.timeout: must be a number of milliseconds or text such as "250ms", "5s", "2m", got Infinity',
        ],
      ],
      [
        'a duration below the least',
        'timeout: 2s',
        'timeout: 2s, rateLimit: { limit: 1, window: 0 }',
        [
          '5:58: policies.patient.rateLimit.window: must be a number of milliseconds or text such as "250ms", "5s", "2m", at least 1ms, got 0',
        ],
      ],
      [
        'a size of another unit',
        'services:',
        'limits: { headBytes: 32KB }\nservices:',
        ['2:22: limits.headBytes: must be a number of bytes or text such as "64kB", got "32KB"'],
      ],
      [
        'no size',
        'services:',
        'limits: { bodyBytes: 0kB }\nservices:',
        ['2:22: limits.bodyBytes: must be a number of bytes or text such as "64kB", got "0kB"'],
      ],
      [
        'a number below the least',
        'attempts: 3',
        'attempts: 0',
        ['5:46: policies.patient.retry.attempts: must be at least 1, got 0'],
      ],
      [
        'a number above the most',
        'timeout: 2s',
        'timeout: 2s, breaker: { failureRate: 50 }',
        ['5:51: policies.patient.breaker.failureRate: must be at most 1, got 50'],
      ],
    ])('%s', (_name, from, to, expected) => {
      expect(problemsOf(changed(from, to))).toEqual(expected)
    })
  })

  describe('addresses', () => {
    test.each([
      [
        'a listener',
        'listen: 127.0.0.1:8080',
        'listen: nowhere',
        ['1:9: listen: `nowhere` is not an address: write "127.0.0.1:8080", ":8080" or 8080'],
      ],
      [
        'the admin',
        'services:',
        'admin: nowhere\nservices:',
        ['2:8: admin: `nowhere` is not an address: write "127.0.0.1:8080", ":8080" or 8080'],
      ],
      [
        'a port above the most',
        'listen: 127.0.0.1:8080',
        'listen: 70000',
        ['1:9: listen: must be at most 65535, got 70000'],
      ],
      [
        'a port below the least',
        'listen: 127.0.0.1:8080',
        'listen: -1',
        ['1:9: listen: must be at least 0, got -1'],
      ],
      [
        'a port above the most, in text',
        'listen: 127.0.0.1:8080',
        'listen: 127.0.0.1:99999',
        ['1:9: listen: `127.0.0.1:99999` is not an address: write "127.0.0.1:8080", ":8080" or 8080'],
      ],
      [
        'an address twice',
        'listen: 127.0.0.1:8080',
        'listen: [127.0.0.1:8080, 8080]',
        ['1:26: listen[1]: the address 127.0.0.1:8080 is taken by `listen[0]` already'],
      ],
      [
        'the admin on the same',
        'services:',
        'admin: 127.0.0.1:8080\nservices:',
        ['2:8: admin: the address 127.0.0.1:8080 is taken by `listen` already'],
      ],
      [
        'every interface, and one of them',
        'listen: 127.0.0.1:8080',
        'listen: [":8080", 127.0.0.1:8080]',
        ['1:19: listen[1]: the address 127.0.0.1:8080 is taken by `listen[0]` already'],
      ],
      [
        'what the admin takes without being told',
        'listen: 127.0.0.1:8080',
        'listen: 8081',
        ['1:9: listen: the address 127.0.0.1:8081 is taken by the default of `admin` already'],
      ],
      [
        'an endpoint of another scheme',
        'http://127.0.0.1:4001',
        'ftp://127.0.0.1:4001',
        [
          '3:25: services.orders.endpoints[0]: endpoint `ftp://127.0.0.1:4001` must be http(s)://host:port, without a path',
        ],
      ],
      [
        'an endpoint with a path',
        '127.0.0.1:4001',
        '127.0.0.1:4001/api',
        [
          '3:25: services.orders.endpoints[0]: endpoint `http://127.0.0.1:4001/api` must be http(s)://host:port, without a path',
        ],
      ],
      [
        'an endpoint with a port above the most',
        '127.0.0.1:4001',
        '127.0.0.1:99999',
        [
          '3:25: services.orders.endpoints[0]: endpoint `http://127.0.0.1:99999` must be http(s)://host:port, without a path',
        ],
      ],
      [
        'an endpoint with a user',
        '127.0.0.1:4001',
        'me@127.0.0.1:4001',
        [
          '3:25: services.orders.endpoints[0]: endpoint `http://me@127.0.0.1:4001` must be http(s)://host:port, without a path',
        ],
      ],
      [
        'an endpoint as a number',
        '[http://127.0.0.1:4001]',
        '[4001]',
        ['3:25: services.orders.endpoints[0]: must be text or an object, got 4001'],
      ],
      [
        'an endpoint twice',
        '[http://127.0.0.1:4001]',
        '[http://a:1, { url: http://a:1/ }]',
        ['3:37: services.orders.endpoints[1]: the endpoint http://a:1 stands twice'],
      ],
      [
        'a network',
        'services:',
        'trust: [10.0.0.0/99, ::1/129, proxy]\nservices:',
        [
          '2:9: trust[0]: must be an IP address or a CIDR block such as 10.0.0.0/8, got "10.0.0.0/99"',
          '2:22: trust[1]: must be an IP address or a CIDR block such as 10.0.0.0/8, got "::1/129"',
          '2:31: trust[2]: must be an IP address or a CIDR block such as 10.0.0.0/8, got "proxy"',
        ],
      ],
    ])('%s', (_name, from, to, expected) => {
      expect(problemsOf(changed(from, to))).toEqual(expected)
    })
  })

  describe('names', () => {
    test.each([
      [
        'a service',
        'to: orders',
        'to: order',
        [
          'warning 3:3: services.orders: the service `orders` is used by no route',
          '7:45: routes.orders.to: unknown service `order`, did you mean `orders`?',
        ],
      ],
      [
        'a service of several',
        'to: orders',
        'to: [{ service: orders }, { service: ordres }]',
        ['7:78: routes.orders.to[1].service: unknown service `ordres`, did you mean `orders`?'],
      ],
      [
        'a policy',
        'policy: patient',
        'policy: nobody',
        [
          '3:57: services.orders.policy: unknown policy `nobody`; known are patient',
          'warning 5:3: policies.patient: the policy `patient` is used nowhere',
        ],
      ],
      [
        'a policy that every object has',
        'policy: patient',
        'policy: toString',
        [
          '3:57: services.orders.policy: unknown policy `toString`; known are patient',
          'warning 5:3: policies.patient: the policy `patient` is used nowhere',
        ],
      ],
      [
        'a policy of a route',
        'to: orders',
        'to: orders, policy: patiant',
        ['7:61: routes.orders.policy: unknown policy `patiant`, did you mean `patient`?'],
      ],
      [
        'a name with a space',
        '  patient:',
        '  "pa tient":',
        [
          '3:57: services.orders.policy: unknown policy `patient`, did you mean `pa tient`?',
          '5:3: policies.pa tient: must be made of letters, digits, `_`, `-` and `.`',
        ],
      ],
      [
        'a choice',
        'policy: patient',
        'policy: patient, balance: round_robin',
        [
          '3:75: services.orders.balance: must be one of "least-request", "round-robin", "peak-ewma" or an object, got "round_robin"; did you mean "round-robin"?',
        ],
      ],
    ])('%s', (_name, from, to, expected) => {
      expect(problemsOf(changed(from, to))).toEqual(expected)
    })
  })

  describe('routes', () => {
    test.each([
      [
        'a path without a slash',
        'path: /orders/*',
        'path: orders',
        ['7:28: routes.orders.match.path: must begin with a slash, got "orders"'],
      ],
      [
        'a star in the middle',
        'path: /orders/*',
        'path: /a/*/b',
        ['7:28: routes.orders.match.path: `*` may only stand at the end, after a slash: `/prefix/*`'],
      ],
      [
        'a part without a name',
        'path: /orders/*',
        'path: /a/:1',
        ['7:28: routes.orders.match.path: `:1` is not a valid part: write `:name`'],
      ],
      [
        'a part twice',
        'path: /orders/*',
        'path: /:a/:a',
        ['7:28: routes.orders.match.path: `:a` stands twice'],
      ],
      [
        'a path with a query',
        'path: /orders/*',
        'path: /a?b=c',
        ['7:28: routes.orders.match.path: must not have a query, a fragment or white space, got "/a?b=c"'],
      ],
      [
        'a method',
        'path: /orders/*',
        'path: /orders/*, method: [GET, "P O"]',
        ['7:53: routes.orders.match.method[1]: is not a valid method, got "P O"'],
      ],
      [
        'a host with a port',
        'path: /orders/*',
        'path: /orders/*, host: "a:80"',
        ['7:45: routes.orders.match.host: must be a host name, exact or `*.example.com`, got "a:80"'],
      ],
      [
        'a rewrite without a slash',
        'to: orders',
        'to: orders, rewrite: { path: v2 }',
        ['7:70: routes.orders.rewrite.path: must begin with a slash, got "v2"'],
      ],
      [
        'a rewrite of an unknown part',
        'to: orders',
        'to: orders, rewrite: { path: /v2/:id }',
        ['7:70: routes.orders.rewrite.path: `:id` is no part of the matched path `/orders/*`'],
      ],
      [
        'a header name',
        'to: orders',
        'to: orders, headers: { request: { set: { "a b": c } } }',
        ['7:82: routes.orders.headers.request.set.a b: is not a valid header name'],
      ],
      [
        'a header value',
        'to: orders',
        'to: orders, headers: { request: { set: { a: "b\\nc" } } }',
        ['7:85: routes.orders.headers.request.set.a: is not a valid header value, got "b\\nc"'],
      ],
      [
        'the same requests as another',
        'routes:\n',
        'routes:\n  first: { match: { path: /orders/*, host: "*" }, to: orders }\n',
        [
          '8:13: routes.orders.match: matches the same requests as the route `first`, which would take them all',
        ],
      ],
      [
        'the same requests, in other words',
        'path: /orders/*',
        'path: /a/:b, method: [GET, PUT], headers: { A: b } }, to: orders }\n  again: { match: { path: /a/:c, method: [PUT, GET], headers: { a: b }',
        [
          '8:12: routes.again.match: matches the same requests as the route `orders`, which would take them all',
        ],
      ],
      [
        'weights of 0',
        'to: orders',
        'to: [{ service: orders, weight: 0 }]',
        ['7:45: routes.orders.to: the weights of all services are 0'],
      ],
      [
        'weights of 0, of endpoints',
        '[http://127.0.0.1:4001]',
        '[{ url: http://a:1, weight: 0 }]',
        ['3:24: services.orders.endpoints: the weights of all endpoints are 0: none would take a request'],
      ],
      [
        'a weight below 0',
        '[http://127.0.0.1:4001]',
        '[{ url: http://a:1, weight: -1 }]',
        ['3:52: services.orders.endpoints[0].weight: must be at least 0, got -1'],
      ],
    ])('%s', (_name, from, to, expected) => {
      expect(problemsOf(changed(from, to))).toEqual(expected)
    })
  })

  describe('policies', () => {
    test.each([
      [
        'a try longer than the call',
        'timeout: 2s',
        'timeout: 2s, tryTimeout: 3s',
        ['5:39: policies.patient.tryTimeout: is longer than `timeout`, and so would never end a try'],
      ],
      [
        'two windows',
        'timeout: 2s',
        'timeout: 2s, breaker: { window: { time: 1s, calls: 5 } }',
        ['5:46: policies.patient.breaker.window: takes either `time` or `calls`, not both'],
      ],
      [
        'slow calls without saying what is slow',
        'timeout: 2s',
        'timeout: 2s, breaker: { slowCallRate: 0.5 }',
        ['5:52: policies.patient.breaker.slowCallRate: needs `slowCall`, which says what is slow'],
      ],
      [
        'a fallback to nothing',
        'timeout: 2s',
        'timeout: 2s, fallback: {}',
        ['5:27: policies.patient.fallback: needs `body`, `status` or `staleFor`'],
      ],
      [
        'whose requests are counted',
        'timeout: 2s',
        'timeout: 2s, rateLimit: { limit: 5, window: 1s, by: ip }',
        [
          '5:66: policies.patient.rateLimit.by: must be `client`, `identity`, `identity:<claim>`, `key`, `header:<name>` or `all`, got "ip"',
        ],
      ],
      [
        'retries around retries',
        'to: orders',
        'to: orders, policy: patient',
        [
          '7:61: routes.orders.policy: `retry` stands in `patient` and in `patient` of the service `orders`: the tries would multiply',
        ],
      ],
      [
        'two rate limits by different keys',
        '{ timeout: 2s, retry: { attempts: 3 } }\nroutes:\n  orders: { ',
        '{ rateLimit: { limit: 1, window: 1s } }\n  all: { rateLimit: { limit: 1, window: 1s, by: all } }\nroutes:\n  orders: { policy: all, ',
        [
          '8:21: routes.orders.policy: the rate limits of `all` and `patient` count by different keys (all, client); a request has one key',
        ],
      ],
      [
        'what only the policy itself knows',
        'timeout: 2s',
        'timeout: 2s, bulkhead: { concurrency: { adaptive: aimd, minimum: 30, maximum: 20 } }',
        ['5:3: policies.patient: bulkhead: concurrency.minimum is 30, above maximum, which is 20'],
      ],
    ])('%s', (_name, from, to, expected) => {
      expect(problemsOf(changed(from, to))).toEqual(expected)
    })
  })

  test('and so is every other one, at once and in order, whatever part is misshapen', () => {
    const text = `listen: nowhere
services:
  orders: { policy: patent }
  prices: { endpoints: [http://a:1, http://a:1] }
policies:
  patient: { timeout: soon, fallback: {} }
routes:
  orders: { to: order }
  prices: { match: { path: prices }, to: [{ service: price }] }
`
    expect(problemsOf(text)).toEqual([
      '1:9: listen: `nowhere` is not an address: write "127.0.0.1:8080", ":8080" or 8080',
      '3:3: services.orders: must say where it is: `endpoints`, or `registry` if its instances are registered',
      '3:21: services.orders.policy: unknown policy `patent`, did you mean `patient`?',
      '4:37: services.prices.endpoints[1]: the endpoint http://a:1 stands twice',
      '6:23: policies.patient.timeout: must be a number of milliseconds or text such as "250ms", "5s", "2m", got "soon"',
      '6:29: policies.patient.fallback: needs `body`, `status` or `staleFor`',
      '8:3: routes.orders.match: is missing',
      '8:17: routes.orders.to: unknown service `order`, did you mean `orders`?',
      '9:28: routes.prices.match.path: must begin with a slash, got "prices"',
      '9:54: routes.prices.to[0].service: unknown service `price`, did you mean `prices`?',
    ])
  })

  test('a long value is cut short', () => {
    const [problem] = problemsOf(changed('2s', 'x'.repeat(1_000)))
    expect(problem).toMatch(/got "x{56}\.\.\.$/)
  })
})

describe('what is probably not meant is a warning', () => {
  test.each([
    [
      'a retry without an end',
      'timeout: 2s, ',
      '',
      ['5:14: policies.patient.retry: `retry` without `timeout`: nothing bounds how long a client waits'],
    ],
    [
      'a policy that nobody uses',
      ', policy: patient',
      '',
      ['5:3: policies.patient: the policy `patient` is used nowhere'],
    ],
    [
      'a service that nobody uses',
      'policies:',
      '  spare: { endpoints: [http://a:1] }\npolicies:',
      ['4:3: services.spare: the service `spare` is used by no route'],
    ],
    [
      'a method in small letters',
      'path: /orders/*',
      'path: /orders/*, method: get',
      ['7:47: routes.orders.match.method: methods are told apart by case: `get` is not `GET`'],
    ],
  ])('%s', (_name, from, to, expected) => {
    expect(problemsOf(changed(from, to))).toEqual(expected.map((each) => `warning ${each}`))
  })
})

describe('files', () => {
  const directory = mkdtempSync(join(tmpdir(), 'banyan-config-'))
  const write = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text)
    return join(directory, name)
  }

  test('a configuration in TypeScript is checked like one in YAML, by path', async () => {
    const good = write(
      'good.config.ts',
      `const port: number = 8080\nexport default { listen: port, services: { a: { endpoints: ['http://a:1'] } }, routes: { a: { match: {}, to: 'a' } } }`,
    )
    expect(await loadConfig(good)).toMatchObject({ ok: true, spec: { listen: [8080] } })
    const bad = write(
      'bad.config.ts',
      `export default { listen: 1, services: { a: { endpoints: ['http://a:1'] } }, routes: { a: { match: {}, to: 'b' } } }`,
    )
    const loaded = await loadConfig(bad)
    expect(loaded.ok ? [] : loaded.problems.map(formatProblem)).toContain(
      `${bad}: routes.a.to: unknown service \`b\`; known are a`,
    )
    const broken = await loadConfig(write('broken.config.ts', 'export default {'))
    expect(broken.ok).toBe(false)
  })

  test('JSON keeps its positions too', async () => {
    const loaded = await loadConfig(write('a.json', '{\n "listen": 1,\n "services": {},\n "routes": []\n}'))
    expect(loaded.ok ? [] : loaded.problems.map(({ line, message }) => [line, message])).toContainEqual([
      4,
      'must be an object, got []',
    ])
  })

  test('a configuration in TypeScript is plain data, which may hold what JSON cannot say, and is told so', async () => {
    const odd = write(
      'odd.config.ts',
      `const loop: { self?: unknown } = {}
loop.self = loop
export default { listen: 1n, trust: loop, services: {}, routes: {} }`,
    )
    const loaded = await loadConfig(odd)
    expect(loaded.ok ? [] : loaded.problems.map(({ path, message }) => [path.join('.'), message])).toEqual(
      expect.arrayContaining([
        ['listen', 'must be a number or text or an object or a list, got 1'],
        ['trust', 'must be a list, got an object'],
      ]),
    )
    const live = await loadConfig(write('live.config.ts', 'export default { listen: () => 1 }'))
    expect(live.ok ? [] : live.problems.map(({ message }) => message)).toEqual([
      expect.stringMatching(/^cannot load live\.config\.ts: it must be plain data: /),
    ])
  })

  test('what is no file, and what is too large for one, is a problem and not a crash', async () => {
    const folder = await loadConfig(directory)
    expect(folder.ok ? [] : folder.problems.map(formatProblem)).toEqual([
      `${directory}: cannot read the file: EISDIR: illegal operation on a directory, read`,
    ])
    const large = await loadConfig(write('large.yaml', `#${' '.repeat(4 * 1024 * 1024)}`))
    expect(large.ok ? [] : large.problems.map(({ message }) => message)).toEqual([
      'the file is larger than 4 MB',
    ])
  })

  test('a file that is not there is said so', async () => {
    await expect(loadConfig(join(directory, 'nothing.yaml'))).rejects.toMatchObject({
      code: 'BANYAN_CONFIG_NOT_FOUND',
    })
  })

  test('the example is fine', async () => {
    expect(await loadConfig('examples/shop/banyan.yaml')).toMatchObject({ ok: true, warnings: [] })
  })

  test('the JSON Schema in the package is the present one (npm run schema)', () => {
    expect(JSON.parse(readFileSync('schema/banyan.schema.json', 'utf8'))).toEqual(
      JSON.parse(JSON.stringify(jsonSchema())),
    )
  })
})
