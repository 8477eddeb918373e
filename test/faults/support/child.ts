import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

const PROCESSES = join(import.meta.dirname, '../processes')

/** How a process ended. */
export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** A real process of its own that runs one of the programs in `processes/` on the built package. */
export class Child {
  /** Resolves when it has said that it is ready, or has ended before it could. */
  readonly ready: Promise<void>
  /** Resolves when it and its output have ended. */
  readonly exited: Promise<Exit>
  readonly #process: ChildProcess
  #stderr = ''
  #stdout = ''
  #exit: Exit | undefined

  /**
   * @param program - a file in `processes/`
   * @param argument - what it is given, as JSON
   */
  constructor(program: string, argument: unknown, env: Record<string, string> = {}) {
    const args = [join(PROCESSES, program), JSON.stringify(argument)]
    const child = spawn(process.execPath, args, { env: { ...process.env, ...env } })
    this.#process = child
    // What it can no longer be told does not matter.
    child.stdin.on('error', () => undefined)
    child.stderr.on('data', (data: Buffer) => (this.#stderr += data.toString()))
    const exited = once(child, 'close').then(([code, signal]: unknown[]) => {
      this.#exit = { code, signal } as Exit
      return this.#exit
    })
    this.exited = exited
    child.stdout.on('data', (data: Buffer) => (this.#stdout += data.toString()))
    this.ready = this.#printed('ready')
  }

  /** Waits until it has printed a line. */
  async said(line: string): Promise<void> {
    await this.#printed(line)
    if (!this.#stdout.includes(`${line}\n`)) throw this.failure(`ended before it said ${line}`)
  }

  /** Waits until it has printed so many lines, or has ended. */
  async lines(count: number): Promise<void> {
    await this.until(() => this.#stdout.split('\n', count + 1).length > count)
  }

  #printed(line: string): Promise<void> {
    return this.until(() => this.#stdout.includes(`${line}\n`))
  }

  /** Waits until what it has printed fulfils something, or it has ended. */
  until(fulfilled: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (fulfilled()) resolve()
      }
      this.#process.stdout!.on('data', look)
      void this.exited.then(() => resolve())
      look()
    })
  }

  get pid(): number {
    return this.#process.pid!
  }

  /** Undefined while it runs. */
  get exit(): Exit | undefined {
    return this.#exit
  }

  /** What it has printed. */
  get stdout(): string {
    return this.#stdout
  }

  get stderr(): string {
    return this.#stderr
  }

  /** Writes a line to its standard input; without one, ends that. */
  tell(line?: string): void {
    if (line === undefined) this.#process.stdin!.end()
    else this.#process.stdin!.write(`${line}\n`)
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal)
  }

  /** Lets it end in its own way. */
  async finish(): Promise<void> {
    this.signal('SIGTERM')
    const { code, signal } = await this.exited
    if (code !== 0) throw this.failure(`ended with ${code ?? signal}`)
  }

  /** Waits for a process that ends by itself, and gives what it printed. */
  async output(): Promise<string> {
    const { code, signal } = await this.exited
    if (code !== 0) throw this.failure(`ended with ${code ?? signal}`)
    return this.#stdout
  }

  failure(what: string): Error {
    return new Error(`${this.#process.spawnargs[1]} ${what}:\n${this.#stderr.slice(-4000)}`)
  }
}
