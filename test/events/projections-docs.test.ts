import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { expect, test } from 'vitest'
import { blockOf } from '../support/example.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { runSnippet } from '../support/snippet.js'

test.each([
  ['events/projections.md', 0],
  ['events/projections.md', 1],
  ['events/projections.md', 3],
  ['events/cqrs.md', 0],
  ['events/cqrs.md', 1],
])('example of %s, number %i, prints what the page says', async (page, index) => {
  expect(await runSnippet(page, { index })).toBe(blockOf(page, 'text', index))
})

test.skipIf(postgresMissing())(
  'the example of inline projections prints what the page says',
  async () => {
    const server = await PostgresServer.start()
    try {
      const edit = (code: string): string =>
        code.replace('postgres://app:secret@localhost/shop', server.url())
      expect(await runSnippet('events/projections.md', { index: 2, edit })).toBe(
        blockOf('events/projections.md', 'text', 2),
      )
    } finally {
      await server.stop()
    }
  },
  60_000,
)

test('a projection in checked JavaScript has the types that the page gives it', () => {
  const directory = join(import.meta.dirname, '../../.cache/checked')
  mkdirSync(directory, { recursive: true })
  const code = blockOf('events/projections.md', 'js')
  const mistaken = code.replace('data.price', 'data.prize').replace('db.run(`DELETE', 'db.ran(`DELETE')
  const files = [code, mistaken].map((text, index) => {
    const file = join(directory, `${index}.mjs`)
    writeFileSync(file, text)
    return file
  })
  const program = ts.createProgram(files, {
    allowJs: true,
    noEmit: true,
    skipLibCheck: true,
    strict: true,
    module: ts.ModuleKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
    types: ['node'],
  })
  const [right, wrong] = files.map((file) =>
    program
      .getSemanticDiagnostics(program.getSourceFile(file))
      .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' ')),
  )
  rmSync(directory, { recursive: true })
  expect(right).toEqual([])
  expect(wrong).toEqual([
    expect.stringContaining("'prize' does not exist on type '{ price: number; }'"),
    expect.stringContaining("'ran' does not exist on type 'SqliteTables'"),
  ])
}, 60_000)
