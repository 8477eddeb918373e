import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, expect, test } from 'vitest'
import { blockOf } from '../support/example.js'

/** The examples of pages for operators, run one after the other beside the program that stands there. */

const PAGES = ['coordination/operating.md', 'coordination/sharding-operating.md']
const MAIN = new URL('../../dist/cli/main.js', import.meta.url).pathname

const ending: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const end of ending.splice(0)) await end()
})

/** Runs the program of a page in a folder of its own. */
async function start(page: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'banyan-operating-docs-'))
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(process.cwd(), join(folder, 'node_modules/banyan'))
  symlinkSync(resolve('node_modules/better-sqlite3'), join(folder, 'node_modules/better-sqlite3'))
  writeFileSync(join(folder, 'application.mjs'), blockOf(page, 'js'))
  const application = spawn(process.execPath, ['application.mjs'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  ending.push(async () => {
    if (application.exitCode === null) {
      const ended = once(application, 'close')
      application.kill('SIGKILL')
      await ended
    }
    rmSync(folder, { recursive: true })
  })
  for await (const line of createInterface({ input: application.stdout })) if (line === 'ready') break
  return folder
}

/** What differs each time: numbers, times, and so how wide columns are. */
function general(text: string): string {
  return text
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replace(/\b[\da-f]{8}\b/g, 'ID')
    .replace(/\b\d+(\.\d+)?(ms|s|m|h|d)?\b/g, 'N')
    .replace(/ +/g, ' ')
}

function run(command: string, folder: string): Promise<string> {
  const shim = `banyan() { "${process.execPath}" "${MAIN}" "$@" 2>&1; }\n`
  const env = { ...process.env, NO_COLOR: '1', BANYAN_COORDINATOR: 'sqlite:./data' }
  const child = spawn('bash', ['-c', shim + command], {
    cwd: folder,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  return new Promise((resolve) => child.once('close', () => resolve(output)))
}

test.each(PAGES)(
  'every example of %s prints what it says',
  async (name) => {
    const folder = await start(name)
    const page = readFileSync(`docs/${name}`, 'utf8')
    const blocks = Array.from(page.matchAll(/^```console\n([^]*?)^```$/gm), ([, block]) => block!)
    const examples = blocks.flatMap((block) => block.split(/^(?=\$ )/m))
    expect(examples.length).toBeGreaterThan(8)
    for (const example of examples) {
      const end = example.indexOf('\n')
      const command = example.slice(2, end)
      expect(general(`$ ${command}\n${await run(command, folder)}`)).toBe(general(example))
    }
  },
  60_000,
)
