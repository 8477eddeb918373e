import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { HostedProjectionState, VersionState } from '../../src/node/projections/state.js'

/** A folder for modules of projections, logs and read models. */
export class Workshop implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'banyan-projections-'))

  path(name: string): string {
    return join(this.directory, name)
  }

  /** A store of its own in a file. */
  store(name = 'read'): string {
    return `sqlite:${this.path(name)}`
  }

  write(name: string, text: string): string {
    const file = this.path(name)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
    return file
  }

  /**
   * A module with a projection that sums the amounts of each stream of the category `sale`; amounts below 0 it does not take.
   *
   * @param options.refuses - a condition under which an event is refused; default `data.amount < 0`
   */
  sums(
    name: string,
    {
      version = 1,
      file = `${name}.ts`,
      refuses = 'data.amount < 0',
    }: { version?: number; file?: string; refuses?: string } = {},
  ): string {
    return this.write(
      file,
      `interface Tables { exec(sql: string): void; run(sql: string, ...values: unknown[]): void }
      interface Context { db: Tables; table: (name: string) => string }
      export default {
        name: '${name}',
        version: ${version},
        select: { category: 'sale' },
        setup: ({ db, table }: Context) => db.exec(\`CREATE TABLE \${table('sum')} (id TEXT PRIMARY KEY, amount INTEGER)\`),
        on: {
          Sold({ stream, data }: { stream: string; data: { amount: number } }, { db, table }: Context) {
            if (${refuses}) throw new Error('not an amount: ' + data.amount)
            const sql = \`INSERT INTO \${table('sum')} VALUES (?, ?)
              ON CONFLICT (id) DO UPDATE SET amount = amount + excluded.amount\`
            db.run(sql, stream, data.amount * ${version})
          },
        },
      }`,
    )
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true })
  }
}

/** What the admin listener answers. */
export interface Answer {
  status: number
  body: Record<string, unknown>
}

/** The projections of a node, through its admin listener. */
export class AdminProjections {
  readonly #admin: string

  constructor(admin: string) {
    this.#admin = admin
  }

  async get(below = ''): Promise<Answer> {
    return answerOf(await fetch(`${this.#admin}/api/projections${below}`))
  }

  async post(below: string, body: object = {}): Promise<Answer> {
    const url = `${this.#admin}/api/projections/${below}`
    return answerOf(await fetch(url, { method: 'POST', body: JSON.stringify(body) }))
  }

  async projection(name: string): Promise<HostedProjectionState> {
    return (await this.get(`/${name}`)).body as unknown as HostedProjectionState
  }

  async version(name: string, version: number): Promise<VersionState | undefined> {
    const { versions = [] } = (await this.projection(name)) as Partial<HostedProjectionState>
    return versions.find((each) => each.version === version)
  }

  /** Waits until a version of a projection is so. */
  async until(name: string, version: number, isSo: (state: VersionState) => boolean): Promise<VersionState> {
    for (;;) {
      const state = await this.version(name, version)
      if (state && isSo(state)) return state
    }
  }
}

async function answerOf(response: Response): Promise<Answer> {
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

/** It has all events. */
export const hasAll = ({ stored, here }: VersionState): boolean =>
  stored?.state === 'running' && stored.lag === 0 && here?.state !== 'failed'

/** It has stopped for an error. */
export const hasFailed = ({ here }: VersionState): boolean => here?.state === 'failed'
