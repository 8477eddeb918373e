import { spawn } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, expect, test } from 'vitest'

/** The examples of `banyan events` in docs/cli.md, run one after the other in an empty folder. */

const MAIN = new URL('../../dist/cli/main.js', import.meta.url).pathname
const folder = realpathSync(mkdtempSync(join(tmpdir(), 'banyan-cli-docs-')))
afterAll(() => rmSync(folder, { recursive: true }))

// What is shown as a program imports the package by its name.
mkdirSync(join(folder, 'node_modules'))
symlinkSync(process.cwd(), join(folder, 'node_modules/banyan'))

interface Example {
  command: string
  output: string
}

function examples(): Example[] {
  const page = readFileSync('docs/cli.md', 'utf8')
  const blocks = Array.from(page.matchAll(/^```console\n([^]*?)^```$/gm), ([, block]) => block!)
  return blocks
    .flatMap((block) => block.split(/^(?=\$ )/m))
    .map((text) => {
      const end = text.indexOf('\n')
      return { command: text.slice(2, end), output: text.slice(end + 1) }
    })
}

/** What differs each time. */
function general(text: string): string {
  return (
    text
      .replaceAll('sqlite:/home/ada/shop/', `sqlite:${folder}/`)
      .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
      .replace(/[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}/g, 'UUID')
      .replace(/[\d.]+ (bytes|kB|MB)/g, 'SIZE')
      // A table is as wide as the ages in it.
      .replace(/ +(OLDEST|FAILED) /g, ' $1 ')
      .replace(/ +[\d.]+m?s (ago )?/g, ' AGE ')
  )
}

/** Runs it to its end; with an output, interrupts it once that has come. */
function run(command: string, until?: string): Promise<string> {
  const shim = `banyan() { "${process.execPath}" "${MAIN}" "$@"; }\n`
  // An exec makes the process the one that is interrupted.
  const script =
    until === undefined ? shim + command : command.replace(/^banyan/, `exec "${process.execPath}" "${MAIN}"`)
  const env = { ...process.env, NO_COLOR: '1', BANYAN_LOG: 'sqlite:./data' }
  const child = spawn('bash', ['-c', script], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  const onText = (text: string): void => {
    output += text
    if (until !== undefined && output.split('\n').length >= until.split('\n').length) child.kill('SIGINT')
  }
  child.stdout.setEncoding('utf8').on('data', onText)
  child.stderr.setEncoding('utf8').on('data', onText)
  return new Promise((resolve) => child.once('close', () => resolve(output)))
}

test('every example of the event log prints what it says', async () => {
  expect(examples().length).toBeGreaterThan(20)
  for (const { command, output } of examples()) {
    const [, shown] = /^cat (\S+)$/.exec(command) ?? []
    if (shown !== undefined && !existsSync(join(folder, shown))) {
      mkdirSync(dirname(join(folder, shown)), { recursive: true })
      writeFileSync(join(folder, shown), output)
    }
    const expected = output.replace(/^\^C\n/m, '')
    const printed = await run(command, expected === output ? undefined : expected)
    expect(`$ ${command}\n${general(printed)}`).toBe(`$ ${command}\n${general(expected)}`)
  }
}, 180_000)
