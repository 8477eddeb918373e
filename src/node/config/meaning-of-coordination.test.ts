import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { diffSpecs } from './diff.js'
import { checkSource, loadConfig } from './load.js'
import { formatProblem } from './problem.js'
import { redactChange } from './redact.js'
import { readYaml } from './yaml-source.js'

const directory = mkdtempSync(join(tmpdir(), 'banyan-coordination-config-'))
afterAll(() => rmSync(directory, { recursive: true }))

function textOf(coordination: string): string {
  return `listen: 8080
services: {}
${coordination}
routes: { hi: { match: { path: / }, respond: { body: hi } } }
`
}

function problemsOf(coordination: string): string[] {
  const loaded = checkSource('f', readYaml(textOf(coordination), {}))
  return (loaded.ok ? loaded.warnings : loaded.problems).map((each) => formatProblem(each).slice(2))
}

test('what is right has no problems', () => {
  expect(problemsOf('coordination: { driver: sqlite, path: ./data }')).toEqual([])
  expect(problemsOf('coordination: { driver: etcd, url: "etcd://db:2379", timeout: 2s }')).toEqual([])
})

test.each<[string, string[]]>([
  ['coordination: { driver: sqlite }', ['3:1: coordination: the driver sqlite needs `path`']],
  [
    'coordination: { driver: sqlite, path: ./data, timeout: 2s }',
    ['3:47: coordination.timeout: belongs to the driver etcd, not to sqlite'],
  ],
  [
    'coordination: { driver: etcd, url: "etcd://db", timeout: 3 }',
    [
      '3:58: coordination.timeout: must be a number of milliseconds or text such as "250ms", "5s", "2m", at least 100ms, got 3',
    ],
  ],
  [
    'coordination: { driver: memory }',
    ['3:25: coordination.driver: memory is seen by this process alone, and gone when it ends'],
  ],
  [
    'workers: 2\ncoordination: { driver: memory }',
    [
      '4:25: coordination.driver: memory belongs to one process, and `workers` makes several; take sqlite, which they share',
    ],
  ],
])('%s', (text, problems) => {
  expect(problemsOf(text)).toEqual(problems)
})

test('a driver that there is not is told with those that there are', () => {
  expect(problemsOf('coordination: { driver: zookeeper }')).toEqual([
    expect.stringMatching(
      /^3:25: coordination\.driver: must be one of "memory", "sqlite",.*"etcd".*"zookeeper"$/,
    ),
  ])
})

test('what only the driver knows is found before anything runs', async () => {
  const checked = async (coordination: string): Promise<string[]> => {
    const file = join(directory, 'banyan.yaml')
    writeFileSync(file, textOf(coordination))
    const loaded = await loadConfig(file)
    return loaded.ok ? [] : loaded.problems.map((each) => formatProblem(each).replace(`${file}:`, ''))
  }
  expect(await checked('coordination: { driver: etcd, url: "etd://db:2379" }')).toEqual([
    expect.stringContaining('3:36: coordination.url: url must be etcd://'),
  ])
  expect(await checked('coordination: { driver: etcd, url: "etcds://db", tls: { ca: ./no.pem } }')).toEqual([
    expect.stringMatching(/^3:\d+: coordination\.tls: tls\.ca cannot be read/),
  ])
  writeFileSync(join(directory, 'keys'), '')
  expect(await checked(`coordination: { driver: sqlite, path: '${directory}/keys' }`)).toEqual([
    expect.stringContaining('is a file that does not end in .db'),
  ])
})

test('nobody is shown its password', () => {
  const specs = ['one', 'two'].map((password) => {
    const url = `etcd://me:${password}@db:2379`
    const loaded = checkSource('f', readYaml(textOf(`coordination: { driver: etcd, url: '${url}' }`), {}))
    if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'))
    return loaded.spec
  })
  expect(diffSpecs(specs[0]!, specs[1]!).map(redactChange)).toEqual([
    {
      kind: 'changed',
      path: ['coordination', 'url'],
      before: 'etcd://(hidden)@db:2379',
      after: 'etcd://(hidden)@db:2379',
    },
  ])
})

test('a fenced route needs a coordinator, and says who may pass', () => {
  const of = (coordination: string, more: string): string[] => {
    const text = textOf(coordination).replace('respond:', `${more}, respond:`)
    const loaded = checkSource('f', readYaml(text, {}))
    return (loaded.ok ? loaded.warnings : loaded.problems).map(({ message }) => message)
  }
  const memory = 'coordination: { driver: sqlite, path: ./data }'
  expect(of('', 'fencing: orders')[0]).toContain('there is no coordinator')
  expect(of(memory, 'fencing: { name: orders }')).toEqual([expect.stringContaining('shut all others out')])
  expect(of(memory, 'fencing: ""')).toEqual([expect.stringContaining('1 to 255 bytes')])
})
