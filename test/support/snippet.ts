import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import ts from 'typescript'
import { blockOf } from './example.js'

/** Inside the package, so that its code imports `banyan/events` as its users do. */
const DIRECTORY = join(import.meta.dirname, '../../.cache/snippets')

/**
 * Runs a TypeScript block of a page of `docs/` in a process of its own, against the built package.
 *
 * @param options.index - which block of the page; default the first
 * @param options.edit - changes the code before it runs, for ports and paths
 * @param options.cwd - where it runs; default a directory that is not kept
 * @returns what it printed
 * @throws if the process ends with an error, with what it printed
 */
export async function runSnippet(
  page: string,
  options: {
    index?: number
    edit?: (code: string) => string
    env?: Record<string, string>
    cwd?: string
  } = {},
): Promise<string> {
  const { index = 0, edit = (code: string) => code } = options
  const { stdout } = await runCode(edit(blockOf(page, 'ts', index)), options)
  return stdout
}

/**
 * Runs TypeScript in a process of its own, against the built package.
 *
 * @returns what it printed
 * @throws if the process ends with an error, with what it printed
 */
export async function runCode(
  code: string,
  { env = {}, cwd }: { env?: Record<string, string>; cwd?: string } = {},
): Promise<{ stdout: string; stderr: string }> {
  const directory = join(DIRECTORY, randomUUID())
  mkdirSync(directory, { recursive: true })
  const file = join(directory, 'snippet.mjs')
  const { outputText } = ts.transpileModule(code, {
    compilerOptions: {
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
    },
  })
  writeFileSync(file, outputText)
  try {
    return await promisify(execFile)(process.execPath, [file], {
      cwd: cwd ?? directory,
      env: { ...process.env, ...env },
      timeout: 50_000,
    })
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
