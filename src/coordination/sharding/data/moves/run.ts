import { backoffWait } from '../../../../core/backoff.js'
import { sleep } from '../../../../core/clock.js'
import type { Coordinator } from '../../../coordinator.js'
import { hasCode, isPassing } from '../../../errors.js'
import { lock } from '../../../lock/lock.js'
import { RETRY } from '../../../patiently.js'
import { openView } from '../../../view/view.js'
import { dataShardsKey, type DataMove } from '../map.js'
import { MoveExecutor, type Stores } from './executor.js'
import { moverLock } from './mover.js'
import { moveSettings, type MoveSettings, type RunMovesOptions } from './options.js'

/** Whoever makes the moves of a sharded application. */
export interface MoveRunner extends AsyncDisposable {
  /** When it has ended: with `once` when there is nothing left to do, otherwise when it is closed. */
  readonly done: Promise<void>
  /** Ends it; what it was at goes on with the next one. */
  close(): Promise<void>
}

/**
 * Makes the moves that operators have asked for: copy, catch up, verify, switch; and what follows when they say so. One process at a time does,
 * by a lock of the coordinator, with its token as a fence in every database; the others wait to take over. What is in the way of a move,
 * such as a database that is away, stands in the move as `problem` and is tried again.
 *
 * @param shards - of `openShards`: with all databases
 * @throws `BANYAN_INVALID_OPTIONS`
 */
export function runMoves(
  coordinator: Coordinator,
  shards: { readonly name: string; readonly stores: Stores },
  options: RunMovesOptions = {},
): MoveRunner {
  const settings = moveSettings(options)
  const closing = new AbortController()
  const done = run(coordinator, shards, options, settings, closing.signal).catch((error: unknown) => {
    if (!closing.signal.aborted) throw error
  })
  done.catch(() => undefined)
  const close = async (): Promise<void> => {
    closing.abort()
    await done.catch(() => undefined)
  }
  return { done, close, [Symbol.asyncDispose]: close }
}

async function run(
  coordinator: Coordinator,
  shards: { readonly name: string; readonly stores: Stores },
  { ttl = '10s', holder, once = false }: RunMovesOptions,
  settings: MoveSettings,
  signal: AbortSignal,
): Promise<void> {
  const { clock, random } = coordinator.runtime
  const only = lock(coordinator, moverLock(shards.name), {
    ttl,
    ...(holder === undefined ? {} : { holder }),
  })
  for (let failures = 0; !signal.aborted;) {
    try {
      await only.run(
        async (held) => {
          failures = 0
          const until = AbortSignal.any([signal, held.signal])
          const executor = new MoveExecutor({ coordinator, ...shards }, held.token, settings, until)
          await new Rounds(coordinator, shards.name, executor, settings, until, held.check).run(once)
        },
        { signal },
      )
      if (once) return
    } catch (error) {
      signal.throwIfAborted()
      const isLost = hasCode(error, 'BANYAN_LEASE_LOST') || hasCode(error, 'BANYAN_STALE_TOKEN')
      if (!isLost && !isPassing(error)) throw error
      failures++
      await sleep(clock, backoffWait(RETRY, failures, 'equal', random), signal).catch(() => undefined)
    }
  }
}

/** What is done while the lock is held. */
class Rounds {
  readonly #coordinator: Coordinator
  readonly #name: string
  readonly #executor: MoveExecutor
  readonly #settings: MoveSettings
  readonly #signal: AbortSignal
  readonly #check: () => void
  /** When a move is tried again that something was in the way of. */
  readonly #notBefore = new Map<string, { readonly at: number; readonly failures: number }>()

  constructor(
    coordinator: Coordinator,
    name: string,
    executor: MoveExecutor,
    settings: MoveSettings,
    signal: AbortSignal,
    check: () => void,
  ) {
    this.#coordinator = coordinator
    this.#name = name
    this.#executor = executor
    this.#settings = settings
    this.#signal = signal
    this.#check = check
  }

  async run(once: boolean): Promise<void> {
    const { clock } = this.#coordinator.runtime
    const view = openView(this.#coordinator, dataShardsKey(this.#name))
    let wake = (): void => undefined
    view.on('change', () => wake())
    try {
      await this.#executor.begin()
      let isSettled = await this.#executor.settle()
      for (;;) {
        this.#check()
        const { moves } = await this.#executor.map()
        const busy = moves.filter((move) => MoveExecutor.isBusy(move))
        const now = clock.now()
        const next = busy.find(({ id }) => (this.#notBefore.get(id)?.at ?? 0) <= now)
        if (next) {
          await this.#turn(next)
          continue
        }
        for (const move of moves) if (move.step === 'switched' && !move.paused) await this.#turn(move)
        isSettled ||= await this.#executor.settle()
        if (once && busy.length === 0) return
        const waiting = new AbortController()
        wake = () => waiting.abort()
        await sleep(clock, this.#settings.every, AbortSignal.any([this.#signal, waiting.signal])).catch(
          () => undefined,
        )
        this.#signal.throwIfAborted()
      }
    } finally {
      await view.close()
    }
  }

  async #turn(move: DataMove): Promise<void> {
    const { clock } = this.#coordinator.runtime
    try {
      await this.#executor.advance(move)
      this.#notBefore.delete(move.id)
      if (move.problem !== undefined && move.step !== 'diverged') await this.#executor.report(move, undefined)
    } catch (error) {
      this.#signal.throwIfAborted()
      if (
        hasCode(error, 'BANYAN_STALE_TOKEN') ||
        isPassing(error) ||
        hasCode(error, 'BANYAN_COORDINATOR_CLOSED')
      )
        throw error
      const failures = (this.#notBefore.get(move.id)?.failures ?? 0) + 1
      this.#notBefore.set(move.id, {
        at: clock.now() + Math.min(this.#settings.every, 10 * 2 ** Math.min(failures, 20)),
        failures,
      })
      await this.#executor.report(move, error instanceof Error ? error.message : String(error))
    }
  }
}
