import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SEED, times } from '../../../test/support/effort.js'
import { compileJsonPath } from './json-path.js'

const object = {
  metadata: { name: 'a', annotations: { 'shop.example/by': 'ada', plain: 'x' } },
  spec: { steps: [{ name: 'one', weight: 1 }, { name: 'two', weight: 5 }, { name: 'three' }], on: true },
  status: {
    limit: 4,
    conditions: [
      { type: 'Ready', status: 'True' },
      { type: 'Stalled', status: 'False' },
    ],
  },
}

describe('a path of JSON', () => {
  it.each<[string, unknown[]]>([
    ['.metadata.name', ['a']],
    ['metadata.name', ['a']],
    ['.metadata.nothing.at.all', []],
    ['.metadata.name.length', []],
    ['.spec.constructor', []],
    ['.metadata.annotations.shop\\.example/by', ['ada']],
    [".metadata.annotations['shop.example/by']", ['ada']],
    ['.metadata.annotations["plain"]', ['x']],
    [".metadata['name','nothing']", ['a']],
    ['.metadata.annotations.*', ['ada', 'x']],
    ['.spec.steps[0].name', ['one']],
    ['.spec.steps[-1].name', ['three']],
    ['.spec.steps[7].name', []],
    ['.spec.steps[-4].name', []],
    ['.spec.steps[*].name', ['one', 'two', 'three']],
    ['.spec.steps[0,2].name', ['one', 'three']],
    ['.spec.steps[1:].name', ['two', 'three']],
    ['.spec.steps[:2].name', ['one', 'two']],
    ['.spec.steps[-1:].name', ['three']],
    ['.spec.steps[0:3:2].name', ['one', 'three']],
    ['.status.conditions[?(@.type=="Ready")].status', ['True']],
    [".status.conditions[?(@.type == 'Ready' )].status", ['True']],
    ['.status.conditions[?(@.type!="Ready")].status', ['False']],
    ['.spec.steps[?(@.weight)].name', ['one', 'two']],
    ['.spec.steps[?(@.weight>1)].name', ['two']],
    ['.spec.steps[?(@.weight<=1)].name', ['one']],
    ['.spec.steps[?(@.weight>$.status.limit)].name', ['two']],
    ['.spec.steps[?(@.name>1)].name', []],
    ['..name', ['a', 'one', 'two', 'three']],
    ['.spec..weight', [1, 5]],
    ['.spec.on', [true]],
  ])('%s', (path, found) => {
    expect(compileJsonPath(path)(object)).toEqual(found)
  })

  it.each<[string, RegExp]>([
    ['', /expected a name at character 1/],
    ['.', /expected a name at character 2/],
    ['.a..', /expected a name at character 5/],
    ['.a[', /expected a number, a name in quotes, \* or \?\( at character 4/],
    ['.a[1', /expected \] at character 5/],
    ['.a[x]', /at character 4/],
    ['.a[1.5]', /at character/],
    ['.a[?(@.b=="c"]', /expected \) at character 14/],
    ['.a[?(b)]', /expected @, a number or a text in quotes at character 6/],
    ['.a b', /expected a dot or a bracket at character 3/],
    ['.a=1', /expected a dot or a bracket at character 3/],
  ])('says what is wrong in %j', (path, mistake) => {
    expect(() => compileJsonPath(path)).toThrow(SyntaxError)
    expect(() => compileJsonPath(path)).toThrow(mistake)
  })

  it('finds each field of any object by its names', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 3 }), (value) => {
        for (const [path, leaf] of leaves(value)) expect(compileJsonPath(path)(value)).toEqual([leaf])
      }),
      { seed: SEED, numRuns: times(50) },
    )
  })

  it('reads any text, or says that it is none', () => {
    const piece = fc.constantFrom(
      '.',
      '..',
      '[',
      ']',
      '*',
      '?(',
      ')',
      '@',
      '$',
      '==',
      "'",
      '\\',
      ':',
      ',',
      '-1',
      'a',
      ' ',
    )
    fc.assert(
      fc.property(
        fc.array(piece).map((pieces) => pieces.join('')),
        (path) => {
          try {
            compileJsonPath(path)(object)
          } catch (error) {
            expect(error).toBeInstanceOf(SyntaxError)
          }
        },
      ),
      { seed: SEED, numRuns: times(300) },
    )
  })
})

function leaves(value: unknown, path = ''): [string, unknown][] {
  if (typeof value !== 'object' || value === null) return path === '' ? [] : [[path, value]]
  return Object.entries(value).flatMap(([name, part]) =>
    leaves(part, Array.isArray(value) ? `${path}[${name}]` : `${path}['${name.replace(/[\\']/g, '\\$&')}']`),
  )
}
