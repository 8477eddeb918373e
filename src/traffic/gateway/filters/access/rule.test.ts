import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Fields } from '../../../http/fields.js'
import type { Forwarding, Identity } from '../../forwarding.js'
import { compileRule, RuleError } from './rule.js'

const ada: Identity = {
  by: 'users',
  subject: 'ada',
  scopes: ['orders:read', 'orders:write'],
  claims: { sub: 'ada', level: 3, admin: true, roles: ['dev', 'ops'], org: { name: 'acme' } },
}

function request(
  target = '/orders/7?id=1&id=2',
  fields: [string, string][] = [],
  parameters = { id: '7' },
): Forwarding {
  const [path = '', query = ''] = target.split('?')
  return {
    clientAddress: '10.1.2.3',
    location: { path, query: query === '' ? '' : `?${query}` },
    parameters,
    exchange: {
      client: { tls: undefined },
      request: { method: 'GET', host: 'Shop.Example:8080', fields: Fields.of(fields) },
    },
  } as unknown as Forwarding
}

const allows = (rule: string, forwarding = request(), identity: Identity | undefined = ada): boolean =>
  compileRule(rule).allows(forwarding, identity)

describe('a rule knows', () => {
  test.each([
    'identity.by == "users" && identity.subject == "ada"',
    '"orders:read" in identity.scopes',
    'identity.claims.level >= 3',
    'identity.claims.admin',
    'identity.claims.org.name == "acme"',
    'identity.claims.roles.exists(role, role == "ops")',
    'identity.scopes.all(scope, scope.startsWith("orders:"))',
    'has(identity.claims.level) && !has(identity.claims.nothing)',
    'request.method in ["GET", "HEAD"]',
    'request.host == "shop.example"',
    'request.path == "/orders/7"',
    'request.parameters.id == "7"',
    'request.query.id == ["1", "2"]',
    '!("nothing" in request.query)',
    'request.headers["x-tenant"] == "acme, other"',
    'client.address == "10.1.2.3" && !client.tls',
    'client.address.inNetwork("10.0.0.0/8") && !client.address.inNetwork("10.2.0.0/16")',
    '!client.address.inNetwork("::1")',
    'request.path.matches("^/orders/[0-9]+$")',
    'size(identity.scopes) == 2',
    '["a", "b"].exists(x, ["b"].exists(y, x == y))',
  ])('%s', (rule) => {
    const fields: [string, string][] = [
      ['X-Tenant', 'acme'],
      ['x-tenant', 'other'],
    ]
    expect(allows(rule, request(undefined, fields))).toBe(true)
  })

  test('the path as the router compares it', () => {
    expect(allows('request.path == "/admin"', request('/%61dmin'))).toBe(true)
    expect(allows('request.path == "/a%2Fb"', request('/a%2Fb'))).toBe(true)
    expect(allows('request.path == "/%zz"', request('/%zz'))).toBe(true)
  })

  test('nobody as one with no name, no scopes and no claims', () => {
    const rule = 'identity.by == "" && identity.subject == "" && size(identity.scopes) == 0'
    expect(compileRule(rule).allows(request(), undefined)).toBe(true)
  })
})

describe('a rule says no', () => {
  test.each(['identity.claims.level', 'identity.claims.roles', 'identity.claims.org'])(
    'to what is merely not false: %s',
    (rule) => expect(allows(rule)).toBe(false),
  )

  test.each(['identity.claims.nothing == 1', 'identity.claims.level == identity.claims.nothing.more'])(
    'by failing: %s',
    (rule) => expect(() => allows(rule)).toThrow('No such key'),
  )

  test.each(['constructor', '__proto__', 'toString', 'hasOwnProperty'])(
    'to what objects are made of: %s',
    (name) => {
      expect(allows(`has(identity.claims.${name})`)).toBe(false)
      expect(allows(`"${name}" in request.headers`)).toBe(false)
      expect(allows(`"${name}" in request.parameters`)).toBe(false)
    },
  )
})

describe('a rule cannot be', () => {
  test.each<[string, string, number]>([
    ['identity.name == "x"', 'No such key: name', 9],
    ['user == "x"', 'Unknown variable: user', 0],
    ['request.method == 1', 'no such overload', 0],
    ['1 +', 'Unexpected token: EOF', 3],
    ['identity.subject', 'must say true or false, but is of type string', 0],
    ['request.path.matches(request.headers.x)', '`matches` takes a text that is written out', 0],
    ['request.path.matches("(")', "'(': ", 21],
    ['client.address.inNetwork("10.0.0.0/33")', 'is no IP address or CIDR block', 25],
    ['client.address.inNetwork("10.0.0.0/")', 'is no IP address or CIDR block', 25],
    ['identity.claims.a.exists(x, identity.claims.b.exists(y, x == y))', 'a loop inside a loop', 28],
    ['request.path.split("").size() > 1', '`split` is no function that a rule may use', 0],
    ['["a"].join("x") == "a"', '`join` is no function', 0],
    ['request.path // matches\n.matches(// matches\n"a+")', 'there must be no comment', 0],
  ])('%s: %s', (rule, message, position) => {
    const compile = (): unknown => compileRule(rule)
    expect(compile).toThrow(RuleError)
    expect(compile).toThrow(message)
    try {
      compile()
    } catch (error) {
      if (position > 0) expect((error as RuleError).position).toBe(position)
    }
  })

  test('larger than its limits', () => {
    expect(() => compileRule(Array.from({ length: 300 }, () => 'true').join(' && '))).toThrow(RuleError)
    expect(() => compileRule(`${'('.repeat(50)}true${')'.repeat(50)}`)).toThrow(RuleError)
  })

  test('anything but a rule or a RuleError, whatever is written', () => {
    const word = fc.constantFrom(
      'identity',
      '.',
      'subject',
      '==',
      '"a"',
      '(',
      ')',
      'in',
      '[',
      ']',
      'request',
      'headers',
      '&&',
      '!',
      'matches',
      '1',
      'exists',
      'x',
      ',',
    )
    fc.assert(
      fc.property(fc.array(word, { maxLength: 12 }), (words) => {
        try {
          compileRule(words.join(''))
        } catch (error) {
          expect(error).toBeInstanceOf(RuleError)
        }
      }),
    )
  })
})

test('a regular expression that would take for ever by backtracking takes no time', () => {
  const rule = compileRule('request.path.matches("^/(a+)+$")')
  const started = performance.now()
  expect(rule.allows(request(`/${'a'.repeat(8_000)}!`), ada)).toBe(false)
  expect(performance.now() - started).toBeLessThan(1_000)
})
