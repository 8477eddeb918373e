import type { Runtime } from '../../../../core/runtime.js'
import { coordinationError, hasCode } from '../../../errors.js'
import { onAbort } from '../../../on-abort.js'
import type { ShardStore } from '../store.js'
import type { QueryPlan } from './options.js'

/** Databases of a sharded application, of which only what is asked is of interest. */
export type AnyStore = ShardStore<unknown>

/** What came of asking. */
export interface Asked<Answer> {
  readonly answers: readonly { readonly shard: string; readonly answer: Answer }[]
  /** Those that did not answer, if that is allowed. */
  readonly failed: readonly { readonly shard: string; readonly error: Error }[]
}

/**
 * Asks all databases, some at a time. If one does not answer and that is not allowed, the others are told to stop.
 *
 * @param dispose - an answer that nobody will see
 * @throws `BANYAN_SHARDS_UNAVAILABLE`; an error of the statement as it is; the reason of the signal
 */
export async function askAll<Answer>(
  stores: readonly AnyStore[],
  ask: (store: AnyStore, signal: AbortSignal) => Promise<Answer>,
  {
    isPartialAllowed,
    timeoutMs,
    concurrency,
  }: Pick<QueryPlan, 'isPartialAllowed' | 'timeoutMs' | 'concurrency'>,
  { runtime, signal, dispose }: { runtime: Runtime; signal: AbortSignal; dispose: (answer: Answer) => void },
): Promise<Asked<Answer>> {
  const stop = new AbortController()
  const unlisten = onAbort(signal, () => stop.abort(signal.reason))
  const answers: ({ shard: string; answer: Answer } | undefined)[] = []
  const failed: { shard: string; error: Error }[] = []
  let next = 0
  const work = async (): Promise<void> => {
    for (let place = next++; place < stores.length && !stop.signal.aborted; place = next++) {
      const store = stores[place]!
      try {
        const answer = await inTime(store, ask, timeoutMs, stop.signal, runtime, dispose)
        answers[place] = { shard: store.id, answer }
      } catch (error) {
        if (!isAway(error)) throw error
        if (!isPartialAllowed)
          throw coordinationError(
            'BANYAN_SHARDS_UNAVAILABLE',
            `database ${store.id} of ${stores.length} did not answer: ${error.message}; with partial: 'allow' you get the rows of the others`,
            error,
          )
        failed.push({ shard: store.id, error })
      }
    }
  }
  const workers = Array.from({ length: Math.min(concurrency, stores.length) }, () =>
    work().catch((error: unknown) => {
      stop.abort(error)
      throw error
    }),
  )
  try {
    await Promise.all(workers)
    signal.throwIfAborted()
  } catch (error) {
    // An answer may just be on its way into the list.
    await Promise.allSettled(workers)
    for (const given of answers) if (given) dispose(given.answer)
    throw signal.aborted ? signal.reason : error
  } finally {
    unlisten()
  }
  if (failed.length === stores.length)
    throw coordinationError(
      'BANYAN_SHARDS_UNAVAILABLE',
      `none of ${stores.length} databases answered: ${failed.map(({ shard, error }) => `${shard}: ${error.message}`).join('; ')}`,
      failed[0]?.error,
    )
  return { answers: answers.filter((given) => given !== undefined), failed }
}

/** One answer, unless it takes too long or nobody wants it any more; whatever the engine does then. */
function inTime<Answer>(
  store: AnyStore,
  ask: (store: AnyStore, signal: AbortSignal) => Promise<Answer>,
  ms: number,
  stop: AbortSignal,
  { clock }: Runtime,
  dispose: (answer: Answer) => void,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const own = new AbortController()
    if (stop.aborted) {
      reject(stop.reason)
      return
    }
    let isOver = false
    const end = (): void => {
      isOver = true
      timer.cancel()
      unlisten()
    }
    const fail = (error: unknown): void => {
      if (isOver) return
      end()
      own.abort(error)
      reject(error)
    }
    const timer = clock.schedule(clock.now() + ms, () =>
      fail(
        coordinationError(
          'BANYAN_SHARD_UNAVAILABLE',
          `database ${store.id} has not answered within ${ms} ms`,
        ),
      ),
    )
    const unlisten = onAbort(stop, () => fail(stop.reason))
    ask(store, own.signal).then((answer) => {
      if (isOver) dispose(answer)
      else {
        end()
        resolve(answer)
      }
    }, fail)
  })
}

/** Whether a database is away, rather than the statement wrong. */
function isAway(error: unknown): error is Error {
  return hasCode(error, 'BANYAN_SHARD_UNAVAILABLE') || hasCode(error, 'BANYAN_SHARD_CLOSED')
}
