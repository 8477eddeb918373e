import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { checkWhole } from './load.js'
import { formatProblem } from './problem.js'
import { readYaml } from './yaml-source.js'

const directory = mkdtempSync(join(tmpdir(), 'banyan-sagas-config-'))
afterAll(() => rmSync(directory, { recursive: true }))

function write(name: string, text: string): string {
  const file = join(directory, name)
  writeFileSync(file, text)
  return file
}

const sagaText = (name: string, version: number) =>
  `{ name: '${name}', version: ${version}, run: () => undefined }`
const parts = write('parts.ts', 'export const one: number = 1')
const module = write(
  'fulfilment.ts',
  `import { one } from './parts.ts'
  export const v1 = ${sagaText('fulfilment', 1)}, v2 = ${sagaText('fulfilment', 2)}, child = ${sagaText('payment', 1)}
  export default v2
  void one`,
)
const other = write('other.ts', `export const refund = ${sagaText('refund', 1)}`)
const none = write('none.mjs', 'export const other = 1')
const wrong = write('wrong.mjs', `export default { name: 'fulfilment', deadline: 'soon', run() {} }`)
const broken = write('broken.ts', 'export default {')

const GOOD = `listen: 8080
services: {}
routes: { ok: { match: {}, respond: { status: 204 } } }
events: { driver: sqlite, path: ./data }
sagas:
  fulfilment: { module: ${module}, concurrency: 32, takeover: 20s }
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
  expect(await load('8080', '8080')).toMatchObject({ ok: true, warnings: [], files: ['f', module, parts] })
  expect(await problemsOf(`module: ${module}`, `module: ['${module}#v1', '${module}#v2']`)).toEqual([])
})

test.each<[string, string, string]>([
  [
    'events: { driver: sqlite, path: ./data }\n',
    '',
    '5:3: sagas.fulfilment: there is no event log that it could stand in; say at the top which one: `events: { driver: sqlite, path: ./data }`',
  ],
  [
    `module: ${module}`,
    'module: ./nowhere.ts',
    '6:25: sagas.fulfilment.module: there is no file ./nowhere.ts',
  ],
  [
    `module: ${module}`,
    `module: '${module}#v3'`,
    '6:25: sagas.fulfilment.module: fulfilment.ts exports no v3, did you mean `fulfilment.ts#v1`?',
  ],
  [
    `module: ${module}`,
    `module: '${module}#child'`,
    '6:25: sagas.fulfilment.module: fulfilment.ts#child is the saga `payment`, not `fulfilment`; give it the name that it has',
  ],
  [
    `module: ${module}`,
    `module: ${other}`,
    '6:25: sagas.fulfilment.module: other.ts exports no saga or policy of the name `fulfilment`, but refund',
  ],
  [
    `module: ${module}`,
    `module: ${none}`,
    '6:25: sagas.fulfilment.module: none.mjs exports no saga and no policy: export what `saga({ ... })` or `policy({ ... })` of banyan/events returns',
  ],
  [
    `module: ${module}`,
    `module: '${none}#other'`,
    '6:25: sagas.fulfilment.module: none.mjs#other is no saga and no policy: export what `saga({ ... })` or `policy({ ... })` of banyan/events returns',
  ],
  [
    `module: ${module}`,
    `module: ${wrong}`,
    '6:25: sagas.fulfilment.module: wrong.mjs: a saga: deadline must be a number of milliseconds or text such as',
  ],
  [
    `module: ${module}`,
    `module: ['${module}#v2', ${module}]`,
    'sagas.fulfilment.module[1]: has version 2 of fulfilment a second time',
  ],
  [`module: ${module}`, `module: ${broken}`, 'sagas.fulfilment.module: cannot load broken.ts: '],
  [
    `module: ${module}`,
    `module: [${module}, ${module}]`,
    'sagas.fulfilment.module[1]: fulfilment.ts stands twice',
  ],
  [
    '  fulfilment:',
    '  ful-filment:',
    'sagas.ful-filment: must begin with a letter and have letters, digits, dots and underscores',
  ],
  ['takeover: 20s', 'takeover: 0', 'sagas.fulfilment.takeover: must be 1ms at least'],
  ['concurrency: 32', 'concurrency: 0', 'sagas.fulfilment.concurrency: '],
  ['concurrency: 32', 'partitions: 1000', 'sagas.fulfilment.partitions: '],
  ['concurrency: 32', 'parallel: 3', 'sagas.fulfilment.parallel: unknown key `parallel`'],
])('a mistake is told where it stands: %s -> %s', async (from, to, problem) => {
  const problems = await problemsOf(from, to)
  expect(problems).toHaveLength(1)
  expect(problems[0]).toContain(problem)
})
