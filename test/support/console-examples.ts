import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { blockOf } from './example.js'

/** A command of a page, and what it prints there. */
export interface ConsoleExample {
  readonly command: string
  readonly printed: string
}

/** The commands of a page of `docs/`, in order. */
export function consoleExamples(page: string): ConsoleExample[] {
  const text = readFileSync(`docs/${page}`, 'utf8')
  const blocks = Array.from(text.matchAll(/^```console\n([^]*?)^```$/gm), ([, block]) => block!)
  return blocks
    .flatMap((block) => block.split(/^(?=\$ )/m))
    .map((example) => {
      const end = example.indexOf('\n')
      return { command: example.slice(2, end), printed: example.slice(end + 1) }
    })
}

/** The program of a page of `docs/`, running in a folder of its own. */
export interface PageProgram extends AsyncDisposable {
  readonly folder: string
}

/**
 * Runs the JavaScript of a page until it says `ready`.
 *
 * @param edit - changes the code before it runs, for ports
 */
export async function startPageProgram(
  page: string,
  edit = (code: string): string => code,
): Promise<PageProgram> {
  const folder = mkdtempSync(join(tmpdir(), 'banyan-page-'))
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(process.cwd(), join(folder, 'node_modules/banyan'))
  symlinkSync(resolve('node_modules/better-sqlite3'), join(folder, 'node_modules/better-sqlite3'))
  writeFileSync(join(folder, 'application.mjs'), edit(blockOf(page, 'js')))
  const application = spawn(process.execPath, ['application.mjs'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  for await (const line of createInterface({ input: application.stdout })) if (line === 'ready') break
  return {
    folder,
    async [Symbol.asyncDispose]() {
      if (application.exitCode === null) {
        const ended = once(application, 'close')
        application.kill('SIGKILL')
        await ended
      }
      rmSync(folder, { recursive: true })
    },
  }
}

/**
 * Runs a command of a page in a shell.
 *
 * @param programs - paths of the programs by the names that they have there
 * @returns what it printed
 */
export function runInShell(
  command: string,
  programs: Record<string, string>,
  options: { cwd: string; env: NodeJS.ProcessEnv },
): Promise<string> {
  const shims = Object.entries(programs).map(([name, path]) => `${name}() { ${path} "$@" 2>&1; }\n`)
  const child = spawn('bash', ['-c', shims.join('') + command], {
    ...options,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  return new Promise((resolve) => child.once('close', () => resolve(output)))
}

/** What differs each time left out: numbers, times, and so how wide columns are. */
export function general(text: string): string {
  return text
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replace(/\b[\da-f]{8}\b/g, 'ID')
    .replace(/\b\d+(\.\d+)?(ms|s|m|h|d)?\b/g, 'N')
    .replace(/ +/g, ' ')
}
