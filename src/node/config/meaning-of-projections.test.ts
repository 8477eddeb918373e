import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { diffSpecs } from './diff.js'
import { checkWhole } from './load.js'
import { formatProblem } from './problem.js'
import { redactChange } from './redact.js'
import { readYaml } from './yaml-source.js'

const directory = mkdtempSync(join(tmpdir(), 'banyan-projections-config-'))
afterAll(() => rmSync(directory, { recursive: true }))

function write(name: string, text: string): string {
  const file = join(directory, name)
  writeFileSync(file, text)
  return file
}

const sums = (version: number) => `{ name: 'sums', version: ${version}, on: { Sold: () => undefined } }`
const module = write('sums.ts', `import { one } from './parts.ts'\nexport default ${sums(1)}; void one`)
const parts = write('parts.ts', 'export const one: number = 1')
const two = write('two.ts', `export const first = ${sums(1)}, second = ${sums(2)}, other = 1`)
const none = write('none.mjs', 'export const other = 1')
const wrong = write('wrong.mjs', `export default { name: 'sums', version: 0, on: { Sold: () => undefined } }`)
const broken = write('broken.ts', 'export default {')

const GOOD = `listen: 8080
services: {}
routes: { ok: { match: {}, respond: { status: 204 } } }
events: { driver: sqlite, path: ./data }
projections:
  sums: { module: ${module}, store: 'sqlite:./read' }
`

async function load(from: string, to: string) {
  expect(GOOD).toContain(from)
  return checkWhole(
    'f',
    readYaml(
      GOOD.replace(from, () => to),
      {},
    ),
  )
}

async function problemsOf(from: string, to: string): Promise<string[]> {
  const loaded = await load(from, to)
  return (loaded.ok ? loaded.warnings : loaded.problems).map((each) =>
    formatProblem(each).slice(2).replaceAll(`${directory}/`, ''),
  )
}

test('what is right has no problems, and its modules count among what was read', async () => {
  const loaded = await load('8080', '8080')
  expect(loaded).toMatchObject({ ok: true, warnings: [], files: ['f', module, parts] })
  const versions = `module: ['${two}#first', '${two}#second']`
  expect(await problemsOf(`module: ${module}`, versions)).toEqual([])
  expect(
    await problemsOf("store: 'sqlite:./read'", 'store: "postgres://me:secret@db/shop", onError: park'),
  ).toEqual([])
})

test.each<[string, string, string[]]>([
  [
    'events: { driver: sqlite, path: ./data }\n',
    '',
    [
      '5:3: projections.sums: there is no event log to make it of; say at the top which one: `events: { driver: sqlite, path: ./data }`',
    ],
  ],
  [
    `module: ${module}`,
    'module: ./nowhere.ts',
    ['6:19: projections.sums.module: there is no file ./nowhere.ts'],
  ],
  [
    `module: ${module}`,
    `module: '${two}#frist'`,
    ['6:19: projections.sums.module: two.ts exports no frist, did you mean `two.ts#first`?'],
  ],
  [
    `module: ${module}`,
    `module: '${two}#other'`,
    [
      '6:19: projections.sums.module: two.ts#other is no projection: export what `projection({ ... })` of banyan/events returns',
    ],
  ],
  [
    `module: ${module}`,
    `module: ${two}`,
    ['6:19: projections.sums.module: two.ts exports first, second; say which, as two.ts#first'],
  ],
  [
    `module: ${module}`,
    `module: ${none}`,
    [
      '6:19: projections.sums.module: none.mjs exports no projection: export what `projection({ ... })` of banyan/events returns',
    ],
  ],
  [
    `module: ${module}`,
    `module: ${wrong}`,
    [
      '6:19: projections.sums.module: wrong.mjs: projection: version must be a whole number of at least 1, got 0',
    ],
  ],
  [
    `module: ${module}`,
    `module: ['${two}#first', ${module}]`,
    [
      expect.stringMatching(
        /^6:\d+: projections\.sums\.module\[1\]: is version 1, as another of these/,
      ) as string,
    ],
  ],
  [
    '  sums:',
    '  totals:',
    [
      '6:21: projections.totals.module: sums.ts is the projection `sums`, not `totals`; give it the name that it has',
    ],
  ],
  [
    '  sums:',
    '  Sums:',
    ['6:3: projections.Sums: must be made of lower case letters, digits and single `_`'],
  ],
  [
    '  sums:',
    '  sums_v2:',
    [
      '6:3: projections.sums_v2: must not end like a version: its views would be called as tables of another are',
    ],
  ],
  [
    'sqlite:./read',
    './read',
    [
      expect.stringContaining(
        'projections.sums.store: must be sqlite:./read, postgres://user:password@host/database, or memory:, got "./read"',
      ) as string,
    ],
  ],
  [
    'sqlite:./read',
    'memory:',
    [
      expect.stringContaining(
        'projections.sums.store: memory: keeps nothing: when the node starts again, the read model is made anew of all events',
      ) as string,
    ],
  ],
  [
    "store: 'sqlite:./read' }",
    "store: 'memory:' }\nworkers: 2",
    [
      expect.stringContaining(
        'projections.sums.store: memory: belongs to one process, and `workers` makes several; take sqlite, which they share',
      ) as string,
    ],
  ],
  [
    "store: 'sqlite:./read'",
    "store: 'sqlite:./read', onEror: park, attempts: 0",
    [
      expect.stringContaining(
        'projections.sums.onEror: unknown key `onEror`, did you mean `onError`?',
      ) as string,
      expect.stringContaining('projections.sums.attempts: must be at least 1, got 0') as string,
    ],
  ],
])('%s as %s', async (from, to, expected) => {
  expect(await problemsOf(from, to)).toEqual(expected)
})

test('a module that cannot be loaded is told with its reason, and is watched', async () => {
  const loaded = await load(`module: ${module}`, `module: ${broken}`)
  expect(loaded).toMatchObject({ ok: false, files: ['f', broken] })
  expect(await problemsOf(`module: ${module}`, `module: ${broken}`)).toEqual([
    expect.stringMatching(/^6:19: projections\.sums\.module: cannot load broken\.ts: /) as string,
  ])
})

test('differences are told field by field, without passwords', async () => {
  const [before, after] = [
    await load('sqlite:./read', 'postgres://me:secret@db/shop'),
    await load("store: 'sqlite:./read'", "store: 'postgres://me:other@db/shop', attempts: 3"),
  ]
  if (!before.ok || !after.ok) throw new Error('not right')
  const changes = diffSpecs(before.spec, after.spec).map(redactChange)
  expect(changes.map(({ path }) => path.join('.'))).toEqual([
    'projections.sums.store',
    'projections.sums.attempts',
  ])
  expect(JSON.stringify(changes)).not.toMatch(/secret|other/)
})
