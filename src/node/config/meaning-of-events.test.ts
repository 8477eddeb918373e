import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { loadConfig, checkSource } from './load.js'
import { formatProblem } from './problem.js'
import { redact, redactChange } from './redact.js'
import { diffSpecs } from './diff.js'
import { readYaml } from './yaml-source.js'

const GOOD = `listen: 8080
services: {}
events: { driver: sqlite, path: ./data }
authenticators:
  keys: { apiKey: { keys: { acme: { hash: 'sha256:${'ab'.repeat(32)}' } } } }
routes:
  events:
    match: { path: /events/* }
    events: {}
    access: { by: keys }
`

const directory = mkdtempSync(join(tmpdir(), 'banyan-events-config-'))
afterAll(() => rmSync(directory, { recursive: true }))

function problemsOf(from: string, to: string): string[] {
  expect(GOOD).toContain(from)
  const text = GOOD.replace(from, () => to)
  const loaded = checkSource('f', readYaml(text, {}))
  return (loaded.ok ? loaded.warnings : loaded.problems).map((each) => formatProblem(each).slice(2))
}

function specOf(text: string) {
  const loaded = checkSource('f', readYaml(text, {}))
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'))
  return loaded.spec
}

test('what is right has no problems', () => {
  expect(problemsOf('./data', './data')).toEqual([])
  const url = 'driver: postgres, url: postgres://me:secret@db:5432/shop, schema: shop, poll: 200ms'
  expect(problemsOf('driver: sqlite, path: ./data', url)).toEqual([])
})

test.each<[string, string, string[]]>([
  [
    'sqlite, path: ./data',
    'sqllite, path: ./data',
    [
      '3:19: events.driver: must be one of "memory", "sqlite", "postgres", got "sqllite"; did you mean "sqlite"?',
    ],
  ],
  [
    'driver: sqlite, path: ./data',
    'path: ./data',
    ['3:1: events.driver: must be one of "memory", "sqlite", "postgres", got nothing'],
  ],
  ['sqlite, path: ./data', 'sqlite', ['3:1: events: the driver sqlite needs `path`']],
  ['sqlite, path: ./data', 'postgres', ['3:1: events: the driver postgres needs `url`']],
  [
    'sqlite, path: ./data',
    'sqlite, path: ./data, url: postgres://a/b',
    ['3:41: events.url: belongs to the driver postgres, not to sqlite'],
  ],
  [
    'sqlite, path: ./data',
    'postgres, url: localhost/shop',
    ['3:34: events.url: must be a URL such as postgres://user:password@host:5432/database'],
  ],
  [
    'path: ./data',
    'pth: ./data',
    [
      '3:1: events: the driver sqlite needs `path`',
      '3:27: events.pth: unknown key `pth`, did you mean `path`?',
    ],
  ],
  [
    'path: ./data',
    'path: ./data, limits: { eventBytes: 1TB }',
    ['3:63: events.limits.eventBytes: must be a number of bytes or text such as "64kB", got "1TB"'],
  ],
  [
    'driver: sqlite, path: ./data }',
    'driver: memory }\nworkers: 2',
    [
      '3:19: events.driver: memory belongs to one process, and `workers` makes several; take sqlite, which they share',
    ],
  ],
  [
    'driver: sqlite, path: ./data',
    'driver: memory',
    ['3:19: events.driver: memory keeps nothing: when the node ends, its events are gone'],
  ],
  [
    'events: { driver: sqlite, path: ./data }\n',
    '',
    [
      '8:5: routes.events.events: there is no event log; say at the top which one: `events: { driver: sqlite, path: ./data }`',
    ],
  ],
  [
    '    access: { by: keys }\n',
    '',
    [
      '5:3: authenticators.keys: the authenticator `keys` is used by no route',
      '9:5: routes.events.events: everybody could append to the event log: give the route `access`, or say `public: true` here if that is meant',
    ],
  ],
  [
    'path: ./data',
    'path: ./data, retention: { rules: [{ category: a, maxAge: 1d }, { category: a, maxEvents: 5 }] }',
    ['events.retention: rules.1 is about the same streams as a rule before it'],
  ],
  [
    'path: ./data',
    'path: ./data, retention: { rules: [{ category: a, stream: a-1 }] }',
    ['events.retention: rules.0 has a stream and a category'],
  ],
  [
    'path: ./data',
    'path: ./data, retention: { rules: [{ maxAge: long }] }',
    ['events.retention.rules[0].maxAge: must be'],
  ],
  [
    'events: {}',
    'events: { public: true }',
    ['9:23: routes.events.events.public: contradicts `access`, which lets not everybody pass'],
  ],
  [
    'events: {}',
    'events: {}\n    to: s',
    ['9:5: routes.events.events: contradicts `to`: one of both answers'],
  ],
  [
    'events: {}',
    'events: {}\n    rewrite: { path: / }',
    ['10:5: routes.events.rewrite: has no effect: the event log is no service behind the route'],
  ],
  [
    'events: {}',
    'events: { categories: [order-1] }',
    ['9:28: routes.events.events.categories[0]: must not have a `-`: it ends there, got "order-1"'],
  ],
  [
    'events: {}',
    'events: { source: my shop }',
    ['9:23: routes.events.events.source: must be a URI reference such as /shop/events, got "my shop"'],
  ],
  [
    'events: {}',
    'events: { allow: [write] }',
    [
      '9:23: routes.events.events.allow[0]: must be one of "append", "read", "consume", "replicate", got "write"',
    ],
  ],
])('%s as %s', (from, to, problems) => {
  const found = problemsOf(from, to)
  for (const problem of problems) expect(found.join('\n')).toContain(problem)
})

describe('what takes looking', () => {
  const check = async (events: string): Promise<string[]> => {
    const file = join(directory, 'banyan.yaml')
    writeFileSync(
      file,
      GOOD.replace('{ driver: sqlite, path: ./data }', () => events),
    )
    const loaded = await loadConfig(file)
    return loaded.ok ? [] : loaded.problems.map(({ path, message }) => `${path.join('.')}: ${message}`)
  }

  test('a path that is a file of another kind', async () => {
    const other = join(directory, 'notes.txt')
    writeFileSync(other, 'x')
    expect(await check(`{ driver: sqlite, path: ${other} }`)).toEqual([
      `events.path: ${other} is a file that does not end in .db; name a directory, or such a file`,
    ])
    expect(await check(`{ driver: sqlite, path: ${join(directory, 'not-yet')} }`)).toEqual([])
  })

  test('types that cannot be read', async () => {
    expect(await check(`{ driver: sqlite, path: ./data, types: ${join(directory, 'nowhere')} }`)).toEqual([
      expect.stringContaining('events.types: the directory of event types'),
    ])
    writeFileSync(join(directory, 'OrderPlaced.schema.json'), '{ "type": "nothing" }')
    expect((await check(`{ driver: sqlite, path: ./data, types: { directory: ${directory} } }`))[0]).toMatch(
      /^events\.types: .*OrderPlaced/,
    )
  })
})

test('passwords of a database are shown to nobody', () => {
  const of = (url: string) =>
    specOf(GOOD.replace('driver: sqlite, path: ./data', `driver: postgres, url: '${url}'`))
  const urls = [
    'postgres://me:s3cret@db/shop',
    'postgres://me:s3c@ret@db/shop',
    'postgres://db/shop?user=me&password=s3cret',
  ]
  for (const url of urls) expect(JSON.stringify(redact(of(url)))).not.toMatch(/s3c|ret@/)
  const [change] = diffSpecs(of(urls[0]!), of(urls[2]!)).map(redactChange)
  expect(JSON.stringify(change)).not.toContain('s3cret')
  expect(change).toMatchObject({
    path: ['events', 'url'],
    after: 'postgres://db/shop?user=me&password=(hidden)',
  })
})
