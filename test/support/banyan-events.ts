import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CloudEvent } from 'cloudevents'
import { afterAll, afterEach, expect } from 'vitest'
import { openLog, type NewEvent } from '../../src/events/index.js'

/** `banyan events` in processes of its own, and logs for it. */

/** The built command line. */
export const MAIN = new URL('../../dist/cli/main.js', import.meta.url).pathname
export const directory = mkdtempSync(join(tmpdir(), 'banyan-cli-events-'))
afterAll(() => rmSync(directory, { recursive: true }))

/** What is to be done after a test, the last first. */
export const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

interface Result {
  code: number | NodeJS.Signals | null
  stdout: string
  stderr: string
}

interface Settings {
  input?: string
  env?: Record<string, string>
  cwd?: string
}

/** A process that runs, and what it has printed. */
export class Running {
  readonly #child
  readonly ended: Promise<Result>
  stdout = ''
  stderr = ''
  #changed = (): void => undefined

  constructor(command: string, args: readonly string[], { input, env = {}, cwd = directory }: Settings = {}) {
    const inherited = { ...process.env }
    delete inherited['BANYAN_LOG']
    this.#child = spawn(command, args, { cwd, env: { ...inherited, NO_COLOR: '1', ...env } })
    this.#child.stdin.on('error', () => undefined).end(input)
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text
      this.#changed()
    })
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
      this.#changed()
    })
    this.ended = new Promise((resolve) =>
      this.#child.once('close', (code, signal) => {
        const { stdout, stderr } = this
        resolve({ code: code ?? signal, stdout, stderr })
      }),
    )
    cleanUps.push(async () => {
      this.#child.kill('SIGKILL')
      await this.ended
    })
  }

  /** Waits until standard output or standard error has this. */
  async printed(pattern: RegExp): Promise<RegExpExecArray> {
    let over = false as boolean
    void this.ended.then(() => {
      over = true
      this.#changed()
    })
    for (;;) {
      const match = pattern.exec(this.stdout + this.stderr)
      if (match) return match
      if (over) throw new Error(`ended without ${String(pattern)}:\n${this.stdout}${this.stderr}`)
      await new Promise<void>((resolve) => (this.#changed = resolve))
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }
}

export function start(args: readonly string[], settings?: Settings): Running {
  return new Running(process.execPath, [MAIN, 'events', ...args], settings)
}

export function banyan(args: readonly string[], settings?: Settings): Promise<Result> {
  return start(args, settings).ended
}

/** What `--json` printed. */
export async function json(args: readonly string[], settings?: Settings): Promise<unknown> {
  const { code, stdout, stderr } = await banyan([...args, '--json'], settings)
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${stderr}`)
  return JSON.parse(stdout)
}

let count = 0

/** The address of a log that is not there yet. */
export function newLog(): string {
  return `sqlite:${join(directory, `log-${count++}`)}`
}

/** Lines of CloudEvents of another producer, for `append --batch`. */
export function cloudEvents(number: number): string {
  const lines = Array.from({ length: number }, (_, index) => {
    const subject = `order-${index % 3}`
    const data = { index }
    return JSON.stringify(
      new CloudEvent({ id: `e${index}`, source: '/shop', type: 'Counted', subject, data }),
    )
  })
  return `${lines.join('\n')}\n`
}

/** A log with so many events in the streams `order-0`, `order-1` and `order-2`. */
export async function filledLog(number: number): Promise<string> {
  const url = newLog()
  await using log = await openLog(url)
  const events = Array.from({ length: number }, (_, index) => ({ type: 'Counted', data: { index } }))
  await Promise.all(
    events.map((event, index) =>
      log.append({ streams: [{ stream: `order-${index % 3}`, events: [event] }] }),
    ),
  )
  return url
}

export async function append(url: string, events: NewEvent[], stream = 'order-1'): Promise<void> {
  await using log = await openLog(url)
  for (const event of events) await log.append({ streams: [{ stream, events: [event] }] })
}

export async function countIn(url: string): Promise<number> {
  await using log = await openLog(url)
  return (await log.stats()).events
}

/** Runs commands that are wrong, and looks at exit code and message. */
export async function refused(
  log: string | undefined,
  cases: readonly [command: string, code: number, message: string][],
): Promise<void> {
  for (const [command, code, message] of cases) {
    const run = await banyan([...command.split(' '), ...(log === undefined ? [] : ['--log', log])])
    expect([command, run.code, run.stdout]).toEqual([command, code, ''])
    expect(run.stderr).toContain(message)
  }
}
