import { readFileSync, writeFileSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
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

/** What a person reads. */
function problemsOf(text: string, env: Record<string, string> = {}): string[] {
  const loaded = checkSource('f', readYaml(text, env))
  return (loaded.ok ? loaded.warnings : loaded.problems).map(
    (problem) => `${problem.severity === 'warning' ? 'warning ' : ''}${formatProblem(problem)}`,
  )
}

/** The good configuration with one line changed. */
function changed(from: string, to: string): string {
  expect(GOOD).toContain(from)
  return GOOD.replace(from, to)
}

test('a good configuration is taken as it is written, with defaults', () => {
  const loaded = checkSource('f', readYaml(GOOD, {}))
  expect(loaded).toEqual({
    ok: true,
    file: 'f',
    warnings: [],
    spec: {
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

describe('a mistake is told with its place and what to do', () => {
  test.each([
    [
      'unknown key',
      'listen: 127',
      'lissen: 1\nlisten: 127',
      'f:1:1: lissen: unknown key `lissen`; known are',
    ],
    [
      'key of a later plane',
      'listen: 127',
      'events: { driver: sqlite }\nlisten: 127',
      'f:1:1: events: `events` is not supported by this version',
    ],
    [
      'unknown key, deep',
      'attempts: 3',
      'attempt: 3',
      'f:5:36: policies.patient.retry.attempt: unknown key `attempt`, did you mean `attempts`?',
    ],
    [
      'unknown service',
      'to: orders',
      'to: order',
      'f:7:45: routes.orders.to: unknown service `order`, did you mean `orders`?',
    ],
    [
      'unknown policy',
      'policy: patient',
      'policy: nobody',
      'f:3:57: services.orders.policy: unknown policy `nobody`; known are patient',
    ],
    [
      'bad duration',
      'timeout: 2s',
      'timeout: 2 seconds',
      'f:5:23: policies.patient.timeout: must be a number of milliseconds or text such as "250ms", "5s", "2m", got "2 seconds"',
    ],
    [
      'number out of range',
      'attempts: 3',
      'attempts: 0',
      'f:5:46: policies.patient.retry.attempts: must be at least 1, got 0',
    ],
    [
      'wrong type',
      'attempts: 3',
      'attempts: three',
      'f:5:46: policies.patient.retry.attempts: must be a number, got "three"',
    ],
    [
      'endpoint with a path',
      '127.0.0.1:4001',
      '127.0.0.1:4001/api',
      'f:3:25: services.orders.endpoints[0]: endpoint `http://127.0.0.1:4001/api` must be http(s)://host:port, without a path',
    ],
    [
      'port out of range',
      '127.0.0.1:4001',
      '127.0.0.1:99999',
      'f:3:25: services.orders.endpoints[0]: endpoint `http://127.0.0.1:99999` must be',
    ],
    [
      'address out of range',
      '127.0.0.1:8080',
      '127.0.0.1:99999',
      'f:1:9: listen: `127.0.0.1:99999` is not an address',
    ],
    [
      'no endpoint',
      '[http://127.0.0.1:4001]',
      '[]',
      'f:3:24: services.orders.endpoints: must have one entry at least',
    ],
    [
      'endpoint twice',
      '[http://127.0.0.1:4001]',
      '[http://a:1, http://a:1]',
      'f:3:37: services.orders.endpoints[1]: the endpoint http://a:1 stands twice',
    ],
    [
      'all weights 0',
      '[http://127.0.0.1:4001]',
      '[{ url: http://a:1, weight: 0 }]',
      'f:3:24: services.orders.endpoints: the weights of all endpoints are 0',
    ],
    [
      'path without a slash',
      '/orders/*',
      'orders',
      'f:7:28: routes.orders.match.path: must begin with a slash, got "orders"',
    ],
    [
      'star in the middle',
      '/orders/*',
      '/a/*/b',
      'f:7:28: routes.orders.match.path: `*` may only stand at the end',
    ],
    ['part twice', '/orders/*', '/:a/:a', 'f:7:28: routes.orders.match.path: `:a` stands twice'],
    [
      'rewrite of an unknown part',
      'to: orders }',
      'to: orders, rewrite: { path: /x/:id } }',
      'f:7:70: routes.orders.rewrite.path: `:id` is no part of the matched path `/orders/*`',
    ],
    [
      'same address twice',
      'services:',
      'admin: 127.0.0.1:8080\nservices:',
      'f:2:8: admin: the address 127.0.0.1:8080 is taken by `listen` already',
    ],
    [
      'try timeout longer than timeout',
      'timeout: 2s',
      'timeout: 2s, tryTimeout: 3s',
      'f:5:39: policies.patient.tryTimeout: is longer than `timeout`',
    ],
    [
      'two windows',
      'timeout: 2s',
      'timeout: 2s, breaker: { window: { time: 1s, calls: 5 } }',
      'f:5:46: policies.patient.breaker.window: takes either `time` or `calls`',
    ],
    [
      'empty fallback',
      'timeout: 2s',
      'timeout: 2s, fallback: {}',
      'f:5:27: policies.patient.fallback: needs `body`, `status` or `staleFor`',
    ],
    [
      'bad choice',
      'policy: patient }',
      'policy: patient, balance: round }',
      'f:3:75: services.orders.balance: must be one of "least-request", "round-robin", got "round"',
    ],
    [
      'what only the policy itself knows',
      'timeout: 2s',
      'timeout: 2s, bulkhead: { concurrency: { adaptive: aimd, minimum: 30, maximum: 20 } }',
      'f:5:3: policies.patient: bulkhead: ',
    ],
    ['bad header', 'to: orders }', 'to: orders, headers: { request: { set: { "a b": c } } } }', 'f:7:'],
    [
      'bad network',
      'services:',
      'trust: [10.0.0.0/99]\nservices:',
      'f:2:9: trust[0]: must be an IP address or a CIDR block',
    ],
    [
      'missing key',
      'routes:\n  orders: { match: { path: /orders/* }, to: orders }\n',
      '',
      'f:1:1: routes: is missing',
    ],
    ['duplicate key', 'services:', 'listen: 1\nservices:', 'f:2:1: Map keys must be unique'],
    ['syntax', '{ timeout: 2s', '{ timeout: 2s, [', 'f:'],
  ])('%s', (_name, from, to, expected) => {
    const problems = problemsOf(changed(from, to))
    expect(
      problems.some((problem) => problem.startsWith(expected)),
      problems.join('\n'),
    ).toBe(true)
  })

  test('and so is every other one, at once and in order', () => {
    const text = GOOD.replace('to: orders', 'to: ordres')
      .replace('timeout: 2s', 'timeout: soon')
      .replace('policy: patient', 'policy: patent')
    expect(problemsOf(text).map((problem) => problem.slice(0, problem.indexOf(': ')))).toEqual([
      'f:3:57',
      'f:5:23',
      'f:7:45',
    ])
  })

  test('two routes that take the same requests', () => {
    const problems = problemsOf(`${GOOD}  again: { match: { path: /orders/* }, to: orders }\n`)
    expect(problems).toEqual([
      'f:8:12: routes.again.match: matches the same requests as the route `orders`, which would take them all',
    ])
  })

  test('retries on a route around retries of its service', () => {
    const problems = problemsOf(changed('to: orders }', 'to: orders, policy: patient }'))
    expect(problems[0]).toMatch(
      /routes\.orders\.policy: `retry` stands in `patient` and in `patient` of the service `orders`: the tries would multiply/,
    )
  })

  test('what is probably not meant is a warning', () => {
    expect(problemsOf(GOOD.replace('timeout: 2s, ', ''))).toEqual([
      'warning f:5:14: policies.patient.retry: `retry` without `timeout`: nothing bounds how long a client waits',
    ])
  })
})

describe('environment variables', () => {
  const text = changed('127.0.0.1:8080', '${HOST:-127.0.0.1}:${PORT}')

  test('are put in, with defaults', () => {
    const loaded = checkSource('f', readYaml(text, { PORT: '9000' }))
    expect(loaded.ok && loaded.spec.listen).toEqual(['127.0.0.1:9000'])
  })

  test('that are not set are an error at their place', () => {
    expect(problemsOf(text)).toEqual([
      'f:1:9: the environment variable `PORT` is not set; set it, or write ${PORT:-default}',
    ])
  })

  test('a number stays a number, quoted text stays text', () => {
    const { value } = readYaml('a: ${N}\nb: "${N}"\nc: $${N}', { N: '5' })
    expect(value).toEqual({ a: 5, b: '5', c: '${N}' })
  })
})

describe('hostile files', () => {
  test('aliases that explode are refused', () => {
    const bomb = [
      'a: &a [x,x,x,x,x,x,x,x,x]',
      ...['b', 'c', 'd', 'e', 'f', 'g'].map(
        (name, index) => `${name}: &${name} [${Array(9).fill(`*${'abcdef'[index]}`).join(',')}]`,
      ),
    ]
    expect(problemsOf(bomb.join('\n'))[0]).toMatch(/alias/i)
  })

  test('whatever the text, there are problems and no exception, at places inside the file', () => {
    const mutated = fc
      .tuple(
        fc.array(
          fc.tuple(
            fc.nat(GOOD.length),
            fc.constantFrom(
              '{',
              '}',
              '[',
              ']',
              ':',
              '\n',
              '  ',
              '- ',
              '&a',
              '*a',
              '"',
              "'",
              '|',
              '${X}',
              '0',
              'a',
              '#',
              ',',
            ),
          ),
          { minLength: 1, maxLength: 6 },
        ),
      )
      .map(([edits]) => edits.reduce((text, [at, what]) => text.slice(0, at) + what + text.slice(at), GOOD))
    fc.assert(
      fc.property(fc.oneof(mutated, fc.string()), (text) => {
        const loaded = checkSource('f', readYaml(text, {}))
        const lines = text.split('\n').length
        for (const { line, column } of loaded.ok ? loaded.warnings : loaded.problems) {
          expect(line).toBeGreaterThanOrEqual(1)
          expect(line).toBeLessThanOrEqual(lines + 1)
          expect(column).toBeGreaterThanOrEqual(1)
        }
      }),
      { numRuns: 1_000 },
    )
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
