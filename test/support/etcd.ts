import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { ensure, freePort, start } from '../../scripts/engines.mjs'
import { isStopped } from './is-stopped.js'

type Engine = Awaited<ReturnType<typeof start>>

/**
 * Whether there is no etcd here and none can be installed: `describe.skipIf(etcdMissing())`. Says so loudly; where `CI`
 * is set, it fails instead.
 */
export function etcdMissing(): boolean {
  try {
    ensure('etcd')
    ensure('etcdctl')
    return false
  } catch (error) {
    if (process.env['CI']) throw error
    process.stderr.write(`\n*** TESTS ON ETCD ARE SKIPPED: ${(error as Error).message} ***\n`)
    return true
  }
}

/** Ten times as fast as by default: it starts at once, and leases of 1 s are granted. */
const QUICK = { 'heartbeat-interval': '10', 'election-timeout': '100' }

/** A real etcd of one's own with throwaway data; it ends when the process of the test does. */
export class EtcdServer implements AsyncDisposable {
  readonly #flags: Record<string, string>
  #engine: Engine

  private constructor(engine: Engine, flags: Record<string, string>) {
    this.#engine = engine
    this.#flags = flags
  }

  /** @param flags - of `etcd`, without the dashes */
  static async start(flags: Record<string, string> = {}): Promise<EtcdServer> {
    const all = { ...QUICK, ...flags }
    return new EtcdServer(await start('etcd', all), all)
  }

  /** Members of one cluster. */
  static async cluster(count: number, flags: Record<string, string> = {}): Promise<EtcdServer[]> {
    const peers = await Promise.all(Array.from({ length: count }, freePort))
    const members = peers.map((peer, index) => `member${index}=http://127.0.0.1:${peer}`).join()
    return Promise.all(
      peers.map((peer, index) =>
        EtcdServer.start({ ...flags, name: `member${index}`, peer: String(peer), members }),
      ),
    )
  }

  get port(): number {
    return this.#engine.port
  }

  get pid(): number {
    return this.#engine.pid
  }

  get directory(): string {
    return this.#engine.directory
  }

  /** `127.0.0.1:port` */
  get endpoint(): string {
    return `127.0.0.1:${this.port}`
  }

  /** Kills it with SIGKILL. */
  async crash(): Promise<void> {
    process.kill(this.pid, 'SIGKILL')
    await this.#engine.exited
  }

  /** Starts it again after {@link crash}, on the same port and data. */
  async restart(): Promise<void> {
    const { port, directory } = this.#engine
    this.#engine = await start('etcd', this.#flags, { port, directory })
  }

  /** Stops it in the middle of whatever it does, with its connections open. */
  async freeze(): Promise<void> {
    process.kill(this.pid, 'SIGSTOP')
    // Its threads stop one after the other.
    while (!isStopped(this.pid)) await new Promise((resolve) => setImmediate(resolve))
  }

  /** Lets it go on after {@link freeze}. */
  thaw(): void {
    process.kill(this.pid, 'SIGCONT')
  }

  /**
   * Runs `etcdctl`.
   *
   * @returns what it writes
   */
  async ctl(...args: string[]): Promise<string> {
    const { stdout } = await promisify(execFile)(ensure('etcdctl'), ['--endpoints', this.endpoint, ...args])
    return stdout
  }

  stop(): Promise<void> {
    return this.#engine.stop()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }
}
