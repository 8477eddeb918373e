import { spawn, type ChildProcess } from 'node:child_process'

/** A run of a program as a real process. */
export class Program {
  readonly process: ChildProcess
  stdout = ''
  stderr = ''
  /** Exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals | null>
  #changed: (() => void)[] = []
  #over = false

  /** @param input - what it reads; default nothing */
  constructor(command: string, args: readonly string[], environment: NodeJS.ProcessEnv, input?: string) {
    this.process = spawn(command, args, {
      stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      env: environment,
    })
    // One that ends before it has read everything says itself why.
    this.process.stdin?.on('error', () => undefined).end(input)
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
