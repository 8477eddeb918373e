import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const ROOT = join(import.meta.dirname, '../..')
/** Inside the package, so that examples import `banyan/...` as its users do. */
const DIRECTORY = join(ROOT, '.cache/docs-types')

it('every example that stands for itself is right to the compiler, as strict as it can be', async () => {
  rmSync(DIRECTORY, { recursive: true, force: true })
  mkdirSync(DIRECTORY, { recursive: true })
  const pages = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((page) => page.endsWith('.md'))
    .map((page) => join('docs', page))
  let count = 0
  for (const page of ['README.md', ...pages]) {
    const text = readFileSync(join(ROOT, page), 'utf8')
    for (const [index, [, code]] of Array.from(text.matchAll(/^```ts\n([^]*?)^```$/gm)).entries()) {
      // What goes on from an example before it, or shows a line of it.
      if (!code!.startsWith('import ') || !/^(const|await|export) /m.test(code!) || isPart(code!)) continue
      writeFileSync(join(DIRECTORY, `${page.replaceAll(/[/.]/g, '_')}-${index}.ts`), `${code!}\nexport {}\n`)
      count++
    }
  }
  expect(count).toBeGreaterThan(30)
  const compilerOptions = {
    strict: true,
    noEmit: true,
    target: 'es2023',
    lib: ['es2023', 'esnext.disposable', 'dom'],
    module: 'nodenext',
    skipLibCheck: true,
    types: ['node'],
  }
  writeFileSync(join(DIRECTORY, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }))
  const compiler = join(ROOT, 'node_modules/.bin/tsc')
  const { stdout } = await promisify(execFile)(compiler, ['-p', DIRECTORY]).catch(
    (error: unknown) => error as { stdout: string },
  )
  expect(stdout).toBe('')
}, 120_000)

/** An excerpt names what it does not make. */
function isPart(code: string): boolean {
  return /\(log[,)]/.test(code) && !/(const|using) log\b/.test(code) && !/\blog: /.test(code)
}
