import { onAbort } from '../../../on-abort.js'
import type { Column, Row, ShardCursor } from '../store.js'
import type { ScatterContext } from './context.js'
import { askExactly, type MissingShard } from './exact.js'
import type { QueryPlan } from './options.js'
import { arranged, scatter } from './query.js'
import type { Batches } from './rows.js'
import { checked, sentOf } from './statement.js'

/**
 * Rows of all databases, as they are asked for: a database sends no more than is read. It holds a connection to each database until it has
 * been read to its end, or closed; leaving a `for await` closes it. A database that is lost on the way ends it with an error.
 */
export interface ShardStream extends AsyncIterable<Row>, AsyncDisposable {
  readonly columns: readonly Column[]
  /** Databases whose rows are not in it; empty unless `partial` is `'allow'`. */
  readonly missing: readonly MissingShard[]
  close(): Promise<void>
}

/** Rows that are fetched of one database at a time. */
const BATCH = 500

const NEVER = new AbortController().signal

/** Begins to ask all databases. */
export async function scatterStream(
  context: ScatterContext,
  sql: string,
  parameters: readonly unknown[],
  plan: QueryPlan,
): Promise<ShardStream> {
  if (typeof plan.merge === 'object') {
    // A group is whole only when every database has said all.
    const { columns, rows, missing } = await scatter(context, sql, parameters, plan)
    return new CursorStream(columns, missing, [rows], [], plan.signal)
  }
  const statement = checked(context, sql, plan)
  const { signal = NEVER, limit, offset } = plan
  const most = limit === undefined ? undefined : limit + offset
  const sent = await sentOf(context, statement, parameters, plan, most, signal)
  const { answers, missing } = await askExactly<ShardCursor>(
    context,
    plan,
    signal,
    (store, own) => store.cursor(sent, parameters, { signal: own }),
    (cursor) => void cursor.close().catch(() => undefined),
  )
  const cursors = answers.map(({ answer }) => answer)
  const columns = cursors[0]?.columns ?? []
  try {
    const sources = answers.map(({ shard, answer }) => ({ shard, batches: ahead(answer) }))
    const rows = arranged(sources, { engine: context.engine, columns }, plan)
    return new CursorStream(columns, missing, rows, cursors, plan.signal)
  } catch (error) {
    await closed(cursors)
    throw error
  }
}

class CursorStream implements ShardStream {
  readonly columns: readonly Column[]
  readonly missing: readonly MissingShard[]
  readonly #batches: Batches | readonly (readonly Row[])[]
  readonly #cursors: readonly ShardCursor[]
  readonly #signal: AbortSignal | undefined
  readonly #unlisten: () => void

  constructor(
    columns: readonly Column[],
    missing: readonly MissingShard[],
    batches: Batches | readonly (readonly Row[])[],
    cursors: readonly ShardCursor[],
    signal: AbortSignal | undefined,
  ) {
    this.columns = columns
    this.missing = missing
    this.#batches = batches
    this.#cursors = cursors
    this.#signal = signal
    this.#unlisten = signal
      ? onAbort(signal, () => void this.close().catch(() => undefined))
      : () => undefined
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Row> {
    try {
      for await (const batch of this.#batches)
        for (const row of batch) {
          this.#signal?.throwIfAborted()
          yield row
        }
      this.#signal?.throwIfAborted()
    } catch (error) {
      // What the signal closed may say anything.
      this.#signal?.throwIfAborted()
      throw error
    } finally {
      await this.close()
    }
  }

  async close(): Promise<void> {
    this.#unlisten()
    await closed(this.#cursors)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

async function closed(cursors: readonly ShardCursor[]): Promise<void> {
  await Promise.allSettled(cursors.map((cursor) => cursor.close()))
}

/** Batches of a cursor; while one is used the next is fetched. */
async function* ahead(cursor: ShardCursor): AsyncGenerator<readonly Row[]> {
  for (let next = cursor.read(BATCH); ;) {
    const batch = await next
    if (batch.length === 0) return
    next = cursor.read(BATCH)
    // Whoever stops does not ask what became of it.
    next.catch(() => undefined)
    yield batch
  }
}
