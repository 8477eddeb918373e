import { backoffWait } from '../../../../core/backoff.js'
import { sleep } from '../../../../core/clock.js'
import { coordinationError } from '../../../errors.js'
import { bucketRanges } from '../ranges.js'
import type { BucketRange, OwnedBuckets } from '../store.js'
import { askAll, type AnyStore } from './ask-all.js'
import type { ScatterContext } from './context.js'
import { coverageOf } from './coverage.js'
import type { QueryPlan } from './options.js'

/** A database that is not in an answer. */
export interface MissingShard {
  readonly shard: string
  /** Why it did not answer. */
  readonly error: Error
  /** Buckets whose rows are missing: from, and up to without. */
  readonly buckets: readonly BucketRange[]
}

/** Answers that together have each row of each bucket exactly once, but for what is missing. */
export interface ExactAnswers<Answer> {
  readonly answers: readonly { readonly shard: string; readonly answer: Answer }[]
  readonly missing: readonly MissingShard[]
}

/** Between one try and the next, in ms: a switch takes milliseconds. */
const AGAIN = { base: 2, factor: 2, max: 200 }

/**
 * Asks all databases until no bucket is twice in their answers, and none left out.
 *
 * @throws `BANYAN_SHARDS_UNSETTLED` if that does not come to be in time; what {@link askAll} throws
 */
export async function askExactly<Answer extends { readonly owned: OwnedBuckets }>(
  context: ScatterContext,
  plan: QueryPlan,
  signal: AbortSignal,
  ask: (store: AnyStore, signal: AbortSignal) => Promise<Answer>,
  dispose: (answer: Answer) => void,
): Promise<ExactAnswers<Answer>> {
  const { runtime, waitMs } = context
  const { clock, random } = runtime
  const deadline = clock.now() + waitMs
  for (let failures = 1; ; failures++) {
    const stores = context.stores()
    context.asked(stores.length)
    const { answers, failed } = await askAll(stores, ask, plan, { runtime, signal, dispose })
    const coverage = coverageOf(
      answers.map(({ shard, answer: { owned } }) => ({ shard, owned })),
      failed.map(({ shard }) => shard),
      context.map(),
    )
    if (coverage.isExact)
      return {
        answers,
        missing: failed.map(({ shard, error }) => ({
          shard,
          error,
          buckets: bucketRanges(coverage.missing.get(shard) ?? []),
        })),
      }
    for (const { answer } of answers) dispose(answer)
    if (clock.now() >= deadline)
      throw coordinationError(
        'BANYAN_SHARDS_UNSETTLED',
        `for ${waitMs} ms the databases did not have each bucket exactly once: ${coverage.why}. A move that has stopped half way has to go on`,
      )
    context.askedAgain()
    await context.refresh(signal)
    await sleep(clock, backoffWait(AGAIN, failures, 'equal', random), signal)
  }
}
