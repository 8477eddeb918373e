import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkSource } from './load.js'
import { readYaml } from './yaml-source.js'

const SAMPLE = `listen: [127.0.0.1:8080, "\${PORT:-8081}"] # two
services:
  orders:
    endpoints:
      - http://127.0.0.1:4001
      - &second { url: http://127.0.0.1:4002, weight: 2 }
    policy: patient
policies:
  patient: { timeout: 2s, retry: { attempts: 3 }, fallback: { body: { 'a "b"': [1, null, .5] } } }
routes:
  orders: { match: { path: /orders/* }, to: orders }
  text: { match: { host: >-
      example.com }, to: [{ service: orders }] }
`

describe('environment variables', () => {
  const FORM = 'write ${NAME} or ${NAME:-default} for an environment variable, $${ for the text ${'

  test.each([
    ['text', 'a: ${X}', { X: 'b' }, 'b'],
    ['text amid text', 'a: http://${X}:80/${X}', { X: 'b' }, 'http://b:80/b'],
    ['a number, unquoted', 'a: ${X}', { X: '5' }, 5],
    ['a number, put together', 'a: ${X}0${X}', { X: '5' }, 505],
    ['a number, in quotes', 'a: "${X}"', { X: '5' }, '5'],
    ['false, unquoted', 'a: ${X}', { X: 'false' }, false],
    ['nothing', 'a: ${X}', { X: '' }, ''],
    ['the word null', 'a: ${X}', { X: 'null' }, 'null'],
    ['text that YAML would cut at a comment', 'a: ${X}', { X: 'p #w' }, 'p #w'],
    ['text that YAML would unquote', 'a: ${X}', { X: '"w"' }, '"w"'],
    ['text that YAML would take for a list', 'a: ${X}', { X: '[1]' }, '[1]'],
    ['text that YAML would refuse', 'a: ${X}', { X: '*x' }, '*x'],
    ['text that looks like a reference', 'a: ${X}', { X: '${Y}' }, '${Y}'],
    ['text with what String.replace takes for itself', 'a: ${X}', { X: '$&$1' }, '$&$1'],
    ['the default of what is not set', 'a: ${X:-b}', {}, 'b'],
    ['the default of what is empty', 'a: ${X:-b}', { X: '' }, 'b'],
    ['not the default of what is set', 'a: ${X:-b}', { X: 'c' }, 'c'],
    ['an empty default', 'a: "${X:-}"', {}, ''],
    ['a default with a colon and a dash', 'a: ${X:-b:-c}', {}, 'b:-c'],
    ['what is escaped', 'a: $${X}', { X: 'b' }, '${X}'],
    ['a dollar alone', 'a: $X $ 5$', { X: 'b' }, '$X $ 5$'],
  ] as [string, string, Record<string, string>, unknown][])('%s', (_name, text, env, expected) => {
    const { value, problems } = readYaml(text, env)
    expect({ value, problems }).toEqual({ value: { a: expected }, problems: [] })
  })

  test('are not looked for in names', () => {
    expect(readYaml('${X}: 1', { X: 'b' }).value).toEqual({ '${X}': 1 })
  })

  test.each([
    [
      'that is not set',
      'a: 1\nb: [2, "x${X}y"]',
      2,
      8,
      'the environment variable `X` is not set; set it, or write ${X:-default}',
    ],
    ['with a wrong name', 'a: ${1X}', 1, 4, FORM],
    ['that does not end', 'a: ${X', 1, 4, FORM],
    ['of another form', 'a: ${X:?wrong}', 1, 4, FORM],
    [
      'in braces without quotes',
      'a: { b: ${X} }',
      1,
      10,
      'inside { } and [ ], text with ${...} must stand in quotes',
    ],
  ])('one %s is an error at its place', (_name, text, line, column, message) => {
    expect(readYaml(text, {}).problems).toEqual([{ path: [], line, column, message }])
  })

  test('every one that is not set is told', () => {
    const { problems } = readYaml('a: ${X}${Y}\nb: ${Z}', {})
    expect(problems.map(({ line, message }) => [line, /`(\w)` is not set/.exec(message)?.[1]])).toEqual([
      [1, 'X'],
      [1, 'Y'],
      [2, 'Z'],
    ])
  })
})

describe('places', () => {
  const source = readYaml(SAMPLE, {})

  test.each([
    [[], 'value', 1, 1],
    [['listen'], 'key', 1, 1],
    [['listen', 0], 'value', 1, 10],
    [['services', 'orders', 'endpoints', 1, 'weight'], 'value', 6, 55],
    [['services', 'orders', 'endpoints', 1, 'weight'], 'key', 6, 47],
    [['routes', 'text', 'match', 'host'], 'value', 12, 26],
    // What is not there is shown at what should hold it.
    [['services', 'orders', 'balance'], 'value', 3, 3],
    [['services', 'orders', 'endpoints', 7], 'value', 4, 5],
    [['nothing', 'at', 'all'], 'value', 1, 1],
  ] as const)('%j (%s) stands at %i:%i', (path, at, line, column) => {
    expect(source.locate(path, at)).toEqual({ line, column })
  })

  test('do not depend on how lines end, nor on a byte order mark', () => {
    const windows = readYaml(`\ufeff${SAMPLE.replaceAll('\n', '\r\n')}`, {})
    expect(windows.value).toEqual(source.value)
    expect(windows.locate(['routes', 'text', 'match'], 'value')).toEqual({ line: 12, column: 18 })
  })
})

describe('hostile files', () => {
  test('aliases that explode are refused', () => {
    const rows = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map(
      (name, index, names) =>
        `${name}: &${name} [${Array(9)
          .fill(index === 0 ? 'x' : `*${names[index - 1]!}`)
          .join(',')}]`,
    )
    expect(readYaml(rows.join('\n'), {}).problems).toEqual([
      {
        path: [],
        line: 1,
        column: 1,
        message: 'Excessive alias count indicates a resource exhaustion attack',
      },
    ])
  })

  test('an anchor that holds itself does no harm', () => {
    const loaded = checkSource('f', readYaml('listen: &loop [*loop]\nservices: *loop', {}))
    expect(loaded.ok).toBe(false)
  })

  test('the prototype of objects cannot be set', () => {
    const { problems } = readYaml('services:\n  __proto__: { polluted: true }', {})
    expect(problems).toEqual([{ path: [], line: 2, column: 3, message: '`__proto__` cannot be a name' }])
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })

  /** Bits that mean something to YAML, or to us. */
  const bit = fc.constantFrom(
    ...[
      '{',
      '}',
      '[',
      ']',
      ':',
      ': ',
      ',',
      '\n',
      '\n  ',
      '\t',
      '\r',
      '- ',
      '? ',
      '#',
      '---\n',
      '...\n',
      '\ufeff',
    ],
    ...['&a ', '*a', '!!str ', '!x ', '|', '>-', '"', "'", '%', '@', '`', '<<', '__proto__', 'constructor'],
    ...['${X}', '${', '$${', '0', '-1', '.inf', '~', 'true', '\u0000', '\ud800', '😀', '/*', ':id'],
  )
  const edit = fc.record({ at: fc.nat(SAMPLE.length), cut: fc.nat(12), put: bit })
  const mutated = fc
    .array(edit, { minLength: 1, maxLength: 6 })
    .map((edits) =>
      edits.reduce((text, { at, cut, put }) => text.slice(0, at) + put + text.slice(at + cut), SAMPLE),
    )
  const invented = fc
    .array(fc.oneof(bit, fc.string({ maxLength: 4 })), { maxLength: 40 })
    .map((bits) => bits.join(''))

  test('whatever the text, there are problems and no exception, each at a place in the file', () => {
    fc.assert(
      fc.property(fc.oneof(mutated, invented, fc.string({ unit: 'binary' })), (text) => {
        const loaded = checkSource('f', readYaml(text, {}))
        const lines = text.split('\n')
        for (const { line, column, message } of loaded.ok ? loaded.warnings : loaded.problems) {
          expect(message).not.toBe('')
          const length = lines[line! - 1]?.length
          expect(length, `line ${line}: ${message}`).toBeDefined()
          expect(column).toBeGreaterThanOrEqual(1)
          expect(column, `${line}:${column}: ${message}`).toBeLessThanOrEqual(length! + 1)
        }
      }),
      { numRuns: 2_000 },
    )
  })
})
