import { describe, expect, it } from 'vitest'
import { checkSource } from './load.js'
import { formatProblem } from './problem.js'
import { readYaml } from './yaml-source.js'

const COORDINATION = 'coordination: { driver: sqlite, path: ./data }'

function problemsOf(yaml: string): string[] {
  const rest = '\nlisten: 8080\nroutes: { all: { match: {}, to: orders } }\n'
  const checked = checkSource('banyan.yaml', readYaml(yaml.trimStart() + rest, {}))
  return (checked.ok ? checked.warnings : checked.problems).map(formatProblem)
}

describe('services.<name>.registry', () => {
  it('is enough to say where a service is', () => {
    const registry = '{ service: shop-orders, tag: [v2, eu] }'
    expect(
      problemsOf(`${COORDINATION}\nservices: { orders: { registry: ${registry}, outliers: true } }`),
    ).toEqual([])
  })

  it('needs a place to look in', () => {
    const [problem, ...more] = problemsOf('services: { orders: { registry: orders, outliers: true } }')
    expect(problem).toContain('banyan.yaml:1:23: services.orders.registry')
    expect(problem).toContain('there is no registry; say at the top where')
    expect(more).toEqual([])
  })

  it('or endpoints must be there', () => {
    expect(problemsOf('services: { orders: {} }')).toEqual([
      expect.stringContaining('must say where it is: `endpoints`, or `registry`'),
    ])
  })

  it('is told what else it needs', () => {
    expect(problemsOf(`${COORDINATION}\nservices: { orders: { registry: orders } }`)).toEqual([
      expect.stringContaining('an instance that was killed stays registered until its ttl is over'),
    ])
  })
})

describe('register', () => {
  const services = `services: { orders: { endpoints: ['http://127.0.0.1:4001'] } }`

  it('takes what an instance is registered with', () => {
    const yaml = `
${COORDINATION}
register:
  orders:
    address: http://127.0.0.1:4001
    tags: [v2]
    zone: eu-1
    version: 2.1.0
    weight: 2
    metadata: { rack: 7 }
    ttl: 5s
    drain: 1s
    health: { check: http://127.0.0.1:4001/healthz, interval: 2s, timeout: 500ms }
${services}`
    expect(problemsOf(yaml)).toEqual([])
  })

  it.each([
    ['orders: { address: http://127.0.0.1:4001 }', 'without `health` it is registered as well'],
    ['orders: { health: { check: http://x } }', 'register.orders.address'],
    ['orders: { address: x, health: { check: ftp://x } }', 'must be a URL such as'],
    ['orders: { address: x, health: { interval: 1s } }', 'needs `check`'],
    ['a: { service: orders, address: x, id: one }, orders: { address: y, id: one }', 'is that of `a`, too'],
    ['orders: { adress: x }', 'adress'],
    ['orders: { address: 10.0.0.1:4001 }', 'no gateway sends requests there'],
    ['orders: { address: x, ttl: 50ms }', 'must be between 100ms and 1d: the driver sqlite keeps no other'],
    ['orders: { address: x, ttl: 48h }', 'must be between 100ms and'],
  ])('of { %s } is told', (entries, problem) => {
    const found = problemsOf(`${COORDINATION}\nregister: { ${entries} }\n${services}`)
    expect(found.join('\n')).toContain(problem)
  })

  it('needs a registry that is somewhere', () => {
    const found = problemsOf(`coordination: { driver: sqlite, path: '' }\n${services}`)
    expect(found.join('\n')).toContain('coordination.path: must not be empty')
  })

  it('needs a registry', () => {
    const found = problemsOf(`register: { orders: { address: x } }\n${services}`)
    expect(found.join('\n')).toContain('there is no registry')
  })
})
