import { describe, expect, test } from 'vitest'
import { checkSource } from './load.js'
import { formatProblem } from './problem.js'
import { readYaml } from './yaml-source.js'

function check(accessLog: string) {
  const yaml = `listen: 1\nservices: { a: { endpoints: [http://a:1] } }\nroutes: { a: { match: {}, to: a } }\naccessLog: ${accessLog}\n`
  const loaded = checkSource('banyan.yaml', readYaml(yaml, {}))
  return loaded.ok ? loaded.spec.accessLog : loaded.problems.map(formatProblem)
}

describe('accessLog', () => {
  test('is off, on, or has options', () => {
    expect(check('false')).toBe(false)
    expect(check('true')).toBe(true)
    expect(check('{ output: ./access.log, sample: 0.1, parameters: "*", buffer: 1MB }')).toEqual({
      output: './access.log',
      sample: 0.1,
      parameters: '*',
      buffer: '1MB',
    })
  })

  test.each([
    ['{ ouput: stdout }', /banyan\.yaml:4:\d+.*did you mean `output`/s],
    ['{ fields: [status, staus] }', /banyan\.yaml:4:\d+/],
    ['{ sample: 2 }', /banyan\.yaml:4:\d+/],
    ['{ buffer: lots }', /banyan\.yaml:4:\d+/],
    ['{ headers: ["a b"] }', /banyan\.yaml:4:\d+/],
  ])('%s is told with its place', (yaml, message) => {
    expect(JSON.stringify(check(yaml))).toMatch(message)
  })
})
