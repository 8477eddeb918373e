import { describe, expect, test } from 'vitest'
import { checkSource } from './load.js'
import { formatPath } from './problem.js'
import { readYaml } from './yaml-source.js'

/** Problems of a service, as `path: message`, warnings with a mark. */
function problemsOf(service: string, more = ''): string[] {
  const yaml = `listen: 8080\n${more}services:\n  s: ${service}\nroutes: { all: { match: {}, to: s } }\n`
  const loaded = checkSource('f', readYaml(yaml, {}))
  const problems = loaded.ok ? loaded.warnings : loaded.problems
  return problems.map(
    ({ severity, path, message }) =>
      `${severity === 'warning' ? '(warning) ' : ''}${formatPath(path)}: ${message}`,
  )
}

const TWO = 'endpoints: [http://a:1, http://b:1]'

describe('a service that says how its endpoints are watched and chosen', () => {
  test.each([
    'health: { http: { path: /healthz, expect: [200, "300-399"], host: shop.example }, interval: 2s, timeout: 500ms }',
    'health: { tcp: true, healthyAfter: 1, unhealthyAfter: 5, jitter: 0, port: 9000, initially: unhealthy }',
    'health: { grpc: {} }',
    'health: { grpc: { service: shop.Orders } }, outliers: { checksUneject: true }',
    'outliers: true',
    'outliers: { consecutiveErrors: false, successRate: false, latency: { factor: 4, minimumEndpoints: 2 }, dryRun: true }',
    'outliers: true, panicBelow: 0',
    'slowStart: { over: 30s, aggression: 2, minimum: 0.05 }',
    'balance: peak-ewma',
    'balance: { hash: "header:X-User", table: maglev, boundedLoad: 1.25 }',
    'balance: { hash: "cookie:session" }',
  ])('%s is fine', (options) => {
    expect(problemsOf(`{ ${TWO}, ${options} }`)).toEqual([])
  })

  test('may stand for all addresses of a name, in zones', () => {
    const endpoints =
      'endpoints: [{ url: http://a:1, zone: x, resolve: true }, { url: http://b:1, zone: y, resolve: { every: 10s, family: both } }]'
    expect(problemsOf(`{ ${endpoints}, zones: { overprovision: 2 } }`, 'zone: x\n')).toEqual([])
  })

  test.each([
    ['health: {}', ['services.s.health: must say how: `http`, `tcp` or `grpc`']],
    [
      'health: { http: { path: /a }, tcp: true }',
      ['services.s.health.tcp: contradicts `http`: an endpoint is asked in one way'],
    ],
    [
      'health: { http: { path: healthz } }',
      [
        'services.s.health.http.path: must begin with a slash, without white space or a fragment, got "healthz"',
      ],
    ],
    ['health: { http: {} }', ['services.s.health.http.path: is missing']],
    [
      'health: { http: { path: /, expect: 2xx } }',
      ['services.s.health.http.expect: `2xx` must be a status such as 204, or a range such as "200-299"'],
    ],
    [
      'health: { tcp: true, interval: 1s, timeout: 2s }',
      ['services.s.health.timeout: is longer than the interval from one check to the next'],
    ],
    [
      'health: { tcp: true, timeout: 6s }',
      ['services.s.health.timeout: is longer than the interval from one check to the next'],
    ],
    [
      'outliers: { baseEjection: 1m, maxEjection: 30s }',
      ['services.s.outliers.maxEjection: is shorter than `baseEjection`'],
    ],
    ['slowStart: {}', ['services.s.slowStart.over: is missing']],
    [
      'balance: { hash: user }',
      [
        'services.s.balance.hash: `user` must be `client`, `path`, `header:<name>`, `cookie:<name>` or `query:<name>`',
      ],
    ],
    [
      'outliers: { latency: { minimumEndpoints: 3 } }',
      [
        '(warning) services.s.outliers.latency: compares 3 endpoints or more (`minimumEndpoints`), and there are 2',
      ],
    ],
    [
      'outliers: { successRate: { deviations: 1.9, minimumEndpoints: 2 } }',
      [
        '(warning) services.s.outliers.successRate.deviations: is never reached: of 2 endpoints one is at most 1.00 deviations from the mean',
      ],
    ],
    [
      'outliers: { checksUneject: true }',
      ['(warning) services.s.outliers.checksUneject: means nothing without `health`'],
    ],
    ['panicBelow: 0.3', ['(warning) services.s.panicBelow: means nothing without `health` or `outliers`']],
    [
      'zones: { overprovision: 2 }',
      [
        '(warning) services.s.zones: means nothing while the node has no `zone`',
        '(warning) services.s.zones: means nothing while no endpoint has a `zone`',
      ],
    ],
  ])('%s is not', (options, problems) => {
    expect(problemsOf(`{ ${TWO}, ${options} }`)).toEqual(problems)
  })

  test.each([
    [
      '[http://a:1]',
      'outliers: true',
      ['(warning) services.s.outliers: there is one endpoint, and the last one is never ejected'],
    ],
    [
      '[http://a:1]',
      'slowStart: { over: 1s }',
      ['(warning) services.s.slowStart: there is one endpoint: nobody else could take the load meanwhile'],
    ],
    ['[{ url: http://a:1, resolve: true }]', 'outliers: true', []],
    [
      '[{ url: "http://10.0.0.1:80", resolve: true }, http://b:1]',
      '',
      ['(warning) services.s.endpoints[0].resolve: means nothing for an IP address'],
    ],
    [
      '[{ url: http://a:1, zone: x }, http://b:1]',
      '',
      ['(warning) services.s.endpoints[0].zone: means nothing while the node has no `zone`'],
    ],
  ])('of %s with %s is told', (endpoints, options, problems) => {
    expect(problemsOf(`{ endpoints: ${endpoints}, ${options} }`)).toEqual(problems)
  })
})
