import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensure } from '../../scripts/engines.mjs'
import { Program } from './program.js'

/** Which kubectl: one of today, or that of Debian, 1.20. */
export type KubectlName = 'kubectl' | 'kubectl-debian'

/**
 * Whether a kubectl is not here and cannot be fetched: `describe.skipIf(kubectlMissing())`. Says so loudly; where `CI` is set, it
 * fails instead.
 */
export function kubectlMissing(name: KubectlName = 'kubectl'): boolean {
  try {
    ensure(name)
    return false
  } catch (error) {
    if (process.env['CI']) throw error
    process.stderr.write(`\n*** TESTS WITH KUBECTL ARE SKIPPED: ${(error as Error).message} ***\n`)
    return true
  }
}

/** What a run of kubectl needs besides its arguments. */
export interface KubectlInput {
  /** What it reads: an object is written as JSON. */
  input?: string | object
  environment?: Record<string, string>
}

/** A kubectl with a home of its own, that knows one server. */
export class Kubectl implements Disposable {
  readonly #path: string
  readonly #environment: NodeJS.ProcessEnv
  /** Its home. */
  readonly directory = mkdtempSync(join(tmpdir(), 'banyan-kubectl-'))

  /** @param server - `http://127.0.0.1:8080` */
  constructor(name: KubectlName, server: string, namespace = 'default') {
    this.#path = ensure(name)
    const config = join(this.directory, 'config')
    writeFileSync(config, kubeConfig(server, namespace))
    this.#environment = { PATH: process.env['PATH'], HOME: this.directory, KUBECONFIG: config, TERM: 'dumb' }
  }

  /** Starts a command, which goes on. */
  start(line: string, { input, environment }: KubectlInput = {}): Program {
    return new Program(
      this.#path,
      wordsOf(line),
      { ...this.#environment, ...environment },
      typeof input === 'object' ? JSON.stringify(input) : input,
    )
  }

  /**
   * Runs a command that must work.
   *
   * @param line - arguments; single quotes hold words together
   * @returns what it printed
   */
  async run(line: string, more?: KubectlInput): Promise<string> {
    const { code, stdout, stderr } = await this.start(line, more).finish()
    if (code !== 0) throw new Error(`kubectl ${line}: ended with ${code}:\n${stdout}${stderr}`)
    return stdout
  }

  /** Runs a command that must fail with 1, and gives what it says. */
  async refused(line: string, more?: KubectlInput): Promise<string> {
    const { code, stdout, stderr } = await this.start(line, more).finish()
    if (code !== 1) throw new Error(`kubectl ${line}: ended with ${code}, not 1:\n${stdout}${stderr}`)
    return stdout + stderr
  }

  /** Runs a command that prints a table, and gives its cells, the header first. */
  async table(line: string, more?: KubectlInput): Promise<string[][]> {
    const lines = (await this.run(line, more)).trimEnd().split('\n')
    return lines.map((each) => each.trimEnd().split(/ {2,}/))
  }

  /** Puts a file into its home. */
  file(name: string, content: string, mode = 0o600): string {
    const path = join(this.directory, name)
    writeFileSync(path, content, { mode })
    return path
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true })
  }
}

function kubeConfig(server: string, namespace: string): string {
  return `apiVersion: v1
kind: Config
clusters: [{ name: banyan, cluster: { server: '${server}' } }]
contexts: [{ name: banyan, context: { cluster: banyan, namespace: ${namespace} } }]
current-context: banyan
`
}

function wordsOf(line: string): string[] {
  return [...line.matchAll(/(?:'[^']*'|[^\s'])+/g)].map(([word]) => word.replaceAll("'", ''))
}
