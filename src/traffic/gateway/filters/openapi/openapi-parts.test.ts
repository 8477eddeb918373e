import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Contract } from './contract.js'
import type { OpenApiDocument } from './document.js'
import type { Parameter } from './operation.js'
import { cookiesOf, pairsOf, ParameterReader, StyleError, type RawParameters } from './parameters.js'
import { PathTemplate } from './path-template.js'
import { linearPattern } from './patterns.js'
import { Validators } from './validator.js'

describe('a path template', () => {
  const match = (template: string, path: string): Record<string, string> | undefined => {
    const found = new PathTemplate(template).match(path.slice(1).split('/'))
    return found && Object.fromEntries(found)
  }

  test.each([
    ['/orders/{id}', '/orders/7', { id: '7' }],
    ['/orders/{id}', '/orders/a%2Fb', { id: 'a%2Fb' }],
    ['/orders/{id}', '/orders/', undefined],
    ['/orders/{id}', '/orders/7/x', undefined],
    ['/orders/{id}.json', '/orders/7.json', { id: '7' }],
    ['/orders/{id}.json', '/orders/.json', undefined],
    ['/{a}-{b}', '/x-y-z', { a: 'x', b: 'y-z' }],
    ['/{a}{b}', '/xyz', { a: 'x', b: 'yz' }],
    ['/{a}.{b}', '/x.', undefined],
    ['/o%20k', '/o k', {}],
    ['/o k', '/o%20k', {}],
    ['/', '/', {}],
  ])('%s takes %s as %j', (template, path, expected) => {
    expect(match(template, path)).toEqual(expected)
  })

  test('with text goes before one with names, from the left', () => {
    const templates = ['/{a}/b', '/a/{b}', '/a/b', '/a/x{b}', '/{a}/{b}'].map(
      (text) => new PathTemplate(text),
    )
    expect(templates.sort((a, b) => a.compare(b)).map(({ text }) => text)).toEqual([
      '/a/b',
      '/a/x{b}',
      '/a/{b}',
      '/{a}/b',
      '/{a}/{b}',
    ])
  })
})

describe('a pattern', () => {
  test.each([
    '^[a-z]+$',
    '^[a-z0-9]+(?:-[a-z0-9]+)*$',
    '^\\d{3}-\\d{4}$',
    '^[^\\s@]+@[^\\s@]+$',
    'a|b',
    '^(a|ab)(c|bcd)$',
    '[\\w.-]{2,5}',
    '^\\p{Lu}',
    '^.?$',
    '(a+)+$',
    '^$',
    '^[\\]a-]+$',
    '^a{2,}b*$',
    '^\\/x\\.y$',
    '\\u0041',
  ])('%s finds what JavaScript finds', (pattern) => {
    const native = new RegExp(pattern, 'u')
    const linear = linearPattern(pattern)
    const text = fc.oneof(
      fc.string({ unit: fc.constantFrom(...Array.from('abcdxyz019-_.@/] AZfoé😀\n')), maxLength: 20 }),
      fc.stringMatching(native, { maxLength: 20 }),
    )
    fc.assert(fc.property(text, (value) => linear.test(value) === native.test(value)))
  })

  test.each(['(a+)+$', '^(a|a)*$', '^(?:[a-z]+-?)*x$', '(?:\\w*)*!', 'a*a*a*a*a*b', 'a+$'])(
    '%s takes no longer for a text made to take long',
    (pattern) => {
      // Backtracking would take years, or for the last ones minutes.
      expect(linearPattern(pattern).test('a'.repeat(200_000) + '\n')).toBe(false)
    },
  )

  test.each(['(?=a)b', '(?<!a)b', '(a)\\1', '(?<n>a)\\k<n>'])(
    '%s is refused: it needs backtracking',
    (pattern) => {
      expect(() => linearPattern(pattern)).toThrow('linear time')
    },
  )
})

describe('a parameter is read by its style', () => {
  const LIST = { type: 'array', items: { type: 'string' } }
  const NUMBERS = { type: 'array', items: { type: 'integer' } }
  const RECORD = { type: 'object', properties: { R: { type: 'integer' }, G: { type: 'integer' } } }
  const COLOURS = ['blue', 'black', 'brown']
  const RGB = { R: 100, G: 200 }

  // The table of OpenAPI 3.1, 4.8.12.4.
  test.each<
    [place: Parameter['in'], style: string, explode: boolean, schema: object, raw: string, value: unknown]
  >([
    ['path', 'matrix', false, { type: 'string' }, ';color=blue', 'blue'],
    ['path', 'matrix', false, { type: 'string' }, ';color', ''],
    ['path', 'matrix', false, LIST, ';color=blue,black,brown', COLOURS],
    ['path', 'matrix', true, LIST, ';color=blue;color=black;color=brown', COLOURS],
    ['path', 'matrix', false, RECORD, ';color=R,100,G,200', RGB],
    ['path', 'matrix', true, RECORD, ';R=100;G=200', RGB],
    ['path', 'label', false, { type: 'string' }, '.blue', 'blue'],
    ['path', 'label', false, LIST, '.blue,black,brown', COLOURS],
    ['path', 'label', true, LIST, '.blue.black.brown', COLOURS],
    ['path', 'label', false, RECORD, '.R,100,G,200', RGB],
    ['path', 'label', true, RECORD, '.R=100.G=200', RGB],
    ['path', 'simple', false, LIST, 'blue,black,brown', COLOURS],
    ['path', 'simple', false, LIST, 'a%2Cb,c', ['a,b', 'c']],
    ['path', 'simple', false, RECORD, 'R,100,G,200', RGB],
    ['path', 'simple', true, RECORD, 'R=100,G=200', RGB],
    ['path', 'simple', false, { type: 'integer' }, '7', 7],
    ['path', 'simple', false, { type: 'string' }, '7', '7'],
    ['query', 'form', true, LIST, 'color=blue&color=black&color=brown', COLOURS],
    ['query', 'form', false, LIST, 'color=blue,black,brown', COLOURS],
    ['query', 'form', true, RECORD, 'R=100&G=200&other=1', RGB],
    ['query', 'form', false, RECORD, 'color=R,100,G,200', RGB],
    ['query', 'form', true, { type: ['integer', 'null'] }, 'color=', null],
    ['query', 'form', true, { type: 'boolean' }, 'color=true', true],
    ['query', 'form', true, { type: 'boolean' }, 'color=yes', 'yes'],
    ['query', 'form', true, { type: 'integer' }, 'color=007', '007'],
    ['query', 'form', true, { type: 'number' }, 'color=-1.5e3', -1500],
    ['query', 'form', true, { enum: [1, 2] }, 'color=2', 2],
    ['query', 'form', true, { allOf: [{ type: 'integer' }] }, 'color=2', 2],
    ['query', 'form', true, { type: 'string' }, 'c%6Flor=a+b%2B', 'a b+'],
    ['query', 'spaceDelimited', false, NUMBERS, 'color=1%202+3', [1, 2, 3]],
    ['query', 'pipeDelimited', false, NUMBERS, 'color=1|2%7C3', [1, 2, 3]],
    ['query', 'deepObject', true, RECORD, 'color[R]=100&color%5BG%5D=200', RGB],
    [
      'query',
      'deepObject',
      true,
      { type: 'object', properties: { a: NUMBERS } },
      'color[a]=1&color[a]=2',
      { a: [1, 2] },
    ],
    ['header', 'simple', false, NUMBERS, '1, 2,3', [1, 2, 3]],
    ['header', 'simple', true, RECORD, 'R=100,G=200', RGB],
    ['cookie', 'form', true, { type: 'integer' }, 'a=1; color=5; color=6', 5],
  ])('%s, %s, explode %j, %j: %s', (place, style, explode, schema, text, expected) => {
    expect(read({ in: place, style, explode }, schema, text)).toEqual(expected)
  })

  test.each([
    ['query', 'form', 'color=1&color=2', 'stands more than once'],
    ['query', 'form', 'color=%ff', 'is not percent-encoded UTF-8'],
    ['path', 'label', 'blue', 'must begin with a dot'],
    ['path', 'matrix', ';colour=blue', 'must be written as `;color=`'],
  ] as const)('%s, %s: %s %s', (place, style, text, message) => {
    expect(() => read({ in: place, style, explode: true }, { type: 'string' }, text)).toThrow(
      new StyleError(message),
    )
  })

  test('and no name of a client can change an object itself', () => {
    const value = read(
      { in: 'query', style: 'deepObject', explode: true },
      { type: 'object' },
      'color[__proto__]=1',
    )
    expect(Object.keys(value as object)).toEqual(['__proto__'])
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
  })

  function read(how: Pick<Parameter, 'in' | 'style' | 'explode'>, schema: object, text: string): unknown {
    const document = {
      at: (pointer: readonly string[]) =>
        pointer.reduce<unknown>((at, part) => (at as Record<string, unknown> | undefined)?.[part], {
          s: schema,
        }),
    }
    const raw: RawParameters = {
      path: new Map([['color', text]]),
      query: how.in === 'query' ? pairsOf(text) : [],
      header: () => text,
      cookies: cookiesOf(text),
    }
    const parameter: Parameter = { name: 'color', required: true, schema: ['s'], isJson: false, ...how }
    return new ParameterReader(document as unknown as OpenApiDocument).read(parameter, raw)
  }
})

test('a format takes no longer for a text made to take long', () => {
  const validators = new Validators({ s: { type: 'string', format: 'url' } }, 10)
  expect(validators.violations('s', 'https://a.example/b?c', 0)).toEqual([])
  // By the library's own expression this takes minutes.
  const text = `http://a@${'::'.repeat(200_000)}`
  expect(validators.violations('s', text, text.length)).toEqual([
    { pointer: '#', detail: 'must match format "url"' },
  ])
})

describe('a document', () => {
  const GOOD = `openapi: 3.1.0
info: { title: t, version: '1' }
servers: [{ url: 'https://{host}/v1/', variables: { host: { default: a } } }]
paths:
  /orders/{id}:
    parameters:
      - $ref: '#/components/parameters/id'
    get:
      responses: { 200: { description: ok } }
components:
  parameters:
    id: { name: id, in: path, required: true, schema: { $ref: '#/components/schemas/Id' } }
  schemas:
    Id: { type: integer, minimum: 1 }
    Node: { type: object, properties: { next: { $ref: '#/components/schemas/Node' } } }
`
  const problemsOf = (text: string): string[] =>
    new Contract(text, undefined, 10).problems.map(
      ({ line, column, message }) => `${line}:${column}: ${message}`,
    )

  test.each<[name: string, from: string, to: string, problems: string[]]>([
    ['is fine', 'openapi', 'openapi', []],
    [
      'of version 2',
      'openapi: 3.1.0',
      'swagger: "2.0"',
      ['1:1: must be an OpenAPI document of version 3.1 or 3.0, got nothing'],
    ],
    [
      'that is no YAML',
      'info: {',
      'info: {{',
      ['3:1: Flow map in block collection must be sufficiently indented and end with a }'],
    ],
    [
      'with a reference to nothing',
      "parameters/id'",
      "parameters/key'",
      ['7:9: there is no `#/components/parameters/key`', '8:5: the part `{id}` of the path has no parameter'],
    ],
    [
      'with a reference to elsewhere',
      "$ref: '#/components/schemas/Id'",
      "$ref: 'https://evil.example/Id'",
      [
        '12:57: only references inside the document, such as `#/components/schemas/Name`, are followed; got `https://evil.example/Id`',
      ],
    ],
    [
      'with a type that does not exist',
      'type: integer',
      'type: int',
      [
        '14:11: is not a JSON Schema: must be equal to one of the allowed values: "array", "boolean", "integer", "null", "number", "object", "string"',
      ],
    ],
    [
      'with a bound that is none',
      'minimum: 1',
      'minimum: one',
      ['14:26: is not a JSON Schema: must be number'],
    ],
    [
      'with a pattern that needs backtracking',
      'minimum: 1',
      'pattern: "(?=a)"',
      ['14:26: look-around cannot be checked in linear time; write several patterns under `allOf`'],
    ],
    [
      'with a pattern that is none',
      'minimum: 1',
      'pattern: "("',
      ['14:26: is no regular expression: Invalid regular expression: /(/u: Unterminated group'],
    ],
    [
      'with an id',
      'minimum: 1',
      '$id: x',
      ['14:26: `$id` is not supported; refer to schemas by JSON Pointers'],
    ],
    [
      'with a style that does not fit',
      'required: true,',
      'required: true, style: form,',
      [
        '7:9: must be one of simple, label, matrix for a parameter in path',
        '8:5: the part `{id}` of the path has no parameter',
      ],
    ],
    [
      'with two paths that are one',
      'components:',
      '  /orders/{key}: {}\ncomponents:',
      ['10:3: is the same as `/orders/{id}` but for the names of its parts'],
    ],
    [
      'with a reference that goes round',
      "id: { name: id, in: path, required: true, schema: { $ref: '#/components/schemas/Id' } }",
      "id: { $ref: '#/components/parameters/id' }",
      ['7:9: refers to itself', '8:5: the part `{id}` of the path has no parameter'],
    ],
  ])('%s', (_name, from, to, problems) => {
    expect(GOOD).toContain(from)
    expect(problemsOf(GOOD.replace(from, () => to))).toEqual(problems)
  })

  test('says where its paths are, by its first server or as it is told', () => {
    for (const [base, path] of [
      [undefined, '/v1/orders/7'],
      ['/v2', '/v2/orders/7'],
      ['', '/orders/7'],
    ] as const) {
      const contract = new Contract(GOOD, base, 10)
      expect(contract.find('GET', path)).toMatchObject({ parts: new Map([['id', '7']]) })
      expect(contract.find('HEAD', path)).toMatchObject({ parts: new Map([['id', '7']]) })
      expect(contract.find('PUT', path)).toEqual({ allowed: ['GET'] })
      expect(contract.find('GET', `/v3${path}`)).toBeUndefined()
    }
  })
})
