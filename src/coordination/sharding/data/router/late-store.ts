import { backoffWait, type Growth } from '../../../../core/backoff.js'
import { sleep } from '../../../../core/clock.js'
import type { Runtime } from '../../../../core/runtime.js'
import { coordinationError } from '../../../errors.js'
import { onAbort } from '../../../on-abort.js'
import type { ShardMoves, ShardStore } from '../store.js'

/** Waits between tries to open it. */
const RETRY: Growth = { base: 200, factor: 2, max: 5000 }

/**
 * A database that was away when the others were opened. It is tried again without end, and is as any other from then on; until then
 * whatever is asked of it fails with `BANYAN_SHARD_UNAVAILABLE`, at once.
 */
export class LateStore<Db> implements ShardStore<Db> {
  readonly id: string
  readonly engine: 'sqlite' | 'postgres'
  readonly #open: () => Promise<ShardStore<Db>>
  readonly #closing = new AbortController()
  readonly #running: Promise<void>
  #problem: unknown
  #store: ShardStore<Db> | undefined

  /**
   * @param problem - why it is away
   * @param open - opens, checks and prepares it
   */
  constructor(
    { id, engine }: Pick<ShardStore<Db>, 'id' | 'engine'>,
    problem: unknown,
    open: () => Promise<ShardStore<Db>>,
    runtime: Runtime,
  ) {
    this.id = id
    this.engine = engine
    this.#problem = problem
    this.#open = open
    this.#running = this.#run(runtime)
  }

  /** Why it is away; undefined: it is there. */
  get problem(): string | undefined {
    if (this.#store) return undefined
    return this.#problem instanceof Error ? this.#problem.message : String(this.#problem)
  }

  get moves(): ShardMoves {
    if (this.#store) return this.#store.moves
    const away = (): Promise<never> => Promise.reject(this.#away())
    return new Proxy({} as ShardMoves, { get: () => away })
  }

  async prepare(...given: Parameters<ShardStore<Db>['prepare']>): ReturnType<ShardStore<Db>['prepare']> {
    return this.#there().prepare(...given)
  }

  async found(...given: Parameters<ShardStore<Db>['found']>): Promise<void> {
    return this.#there().found(...given)
  }

  async identity(): ReturnType<ShardStore<Db>['identity']> {
    return this.#there().identity()
  }

  async within<Result>(
    bucket: number,
    mode: 'read' | 'write',
    work: Parameters<ShardStore<Db>['within']>[2],
    options?: Parameters<ShardStore<Db>['within']>[3],
  ): Promise<Result> {
    return this.#there().within<Result>(bucket, mode, work as never, options)
  }

  async transact<Result>(work: Parameters<ShardStore<Db>['transact']>[0]): Promise<Result> {
    return this.#there().transact<Result>(work as never)
  }

  async query(...given: Parameters<ShardStore<Db>['query']>): ReturnType<ShardStore<Db>['query']> {
    return this.#there().query(...given)
  }

  async cursor(...given: Parameters<ShardStore<Db>['cursor']>): ReturnType<ShardStore<Db>['cursor']> {
    return this.#there().cursor(...given)
  }

  async owned(): ReturnType<ShardStore<Db>['owned']> {
    return this.#there().owned()
  }

  async shapes(): ReturnType<ShardStore<Db>['shapes']> {
    return this.#there().shapes()
  }

  /** Ends the tries, and closes it; one that is opened at that moment is closed when it is open. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
    await this.#store?.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #there(): ShardStore<Db> {
    if (this.#store) return this.#store
    throw this.#away()
  }

  #away(): Error {
    if (this.#closing.signal.aborted)
      return coordinationError('BANYAN_SHARD_CLOSED', `the shard ${JSON.stringify(this.id)} is closed`)
    return coordinationError(
      'BANYAN_SHARD_UNAVAILABLE',
      `the shard ${JSON.stringify(this.id)} was not opened yet, which is tried again: ${this.problem}`,
      this.#problem,
    )
  }

  async #run({ clock, random, telemetry }: Runtime): Promise<void> {
    const { signal } = this.#closing
    telemetry.log('warn', `the shard ${this.id} is away, which is tried again: ${this.problem}`)
    for (let failures = 1; !signal.aborted && !this.#store; failures++) {
      const wait = backoffWait(RETRY, failures, 'equal', random)
      await sleep(clock, wait, signal).then(
        () => this.#try(signal),
        () => undefined,
      )
    }
    if (this.#store) telemetry.log('info', `the shard ${this.id} is there`)
  }

  /** Whoever closes it does not wait for a database that does not answer. */
  #try(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const unlisten = onAbort(signal, resolve)
      const end = (): void => {
        unlisten()
        resolve()
      }
      this.#open().then(
        (store) => {
          if (signal.aborted) store.close().catch(() => undefined)
          else this.#store = store
          end()
        },
        (error: unknown) => {
          this.#problem = error
          end()
        },
      )
    })
  }
}

/** Which of them are away, and why. */
export function awayOf(stores: Iterable<ShardStore<unknown>>): Record<string, string> {
  const away: Record<string, string> = {}
  for (const store of stores)
    if (store instanceof LateStore && store.problem !== undefined) away[store.id] = store.problem
  return away
}
