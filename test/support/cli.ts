import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const main = new URL('../../dist/cli/main.js', import.meta.url).pathname

/** A run of the command line as a real process. */
export class Cli {
  readonly process: ChildProcess
  stdout = ''
  stderr = ''
  /** Exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals | null>
  #changed: (() => void)[] = []
  #over = false

  constructor(...args: string[]) {
    this.process = spawn(process.execPath, [main, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NO_COLOR: '1' },
    })
    this.process.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text
      this.#wake()
    })
    this.process.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
      this.#wake()
    })
    this.ended = new Promise((resolve) =>
      this.process.once('close', (code, signal) => {
        this.#over = true
        this.#wake()
        resolve(code ?? signal)
      }),
    )
  }

  /** Waits until something was printed, to either stream. */
  async printed(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.stdout + this.stderr)
      if (match) return match
      if (this.#over) throw new Error(`ended without ${String(pattern)}:\n${this.stdout}${this.stderr}`)
      await new Promise<void>((resolve) => this.#changed.push(resolve))
    }
  }

  /** Waits for the end. */
  async finish(): Promise<{ code: number | NodeJS.Signals | null; stdout: string; stderr: string }> {
    return { code: await this.ended, stdout: this.stdout, stderr: this.stderr }
  }

  #wake(): void {
    for (const resolve of this.#changed.splice(0)) resolve()
  }
}

/** Runs a command to its end. */
export function run(
  ...args: string[]
): Promise<{ code: number | NodeJS.Signals | null; stdout: string; stderr: string }> {
  return new Cli(...args).finish()
}

const directory = mkdtempSync(join(tmpdir(), 'banyan-cli-'))
let count = 0

/** Writes a configuration to a file of its own. */
export function configFile(config: unknown): string {
  const file = join(directory, `${count++}.yaml`)
  writeFileSync(file, typeof config === 'string' ? config : JSON.stringify(config))
  return file
}
