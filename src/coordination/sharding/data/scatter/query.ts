import type { Column, Row, ShardRows } from '../store.js'
import type { ScatterContext } from './context.js'
import { askExactly, type MissingShard } from './exact.js'
import { GroupMerger } from './merge-groups.js'
import { mergeSorted } from './merge-sorted.js'
import type { QueryPlan } from './options.js'
import { Order, type AnswerShape } from './order.js'
import { collected, concatenated, distinct, section, type Batches } from './rows.js'
import { checked, sentOf } from './statement.js'

/** What a query over all databases answers. */
export interface ShardAnswer {
  readonly columns: readonly Column[]
  readonly rows: Row[]
  /** Databases whose rows are not in it; empty unless `partial` is `'allow'`. */
  readonly missing: readonly MissingShard[]
}

const NEVER = new AbortController().signal

/** Asks all databases, and merges their answers in memory. */
export async function scatter(
  context: ScatterContext,
  sql: string,
  parameters: readonly unknown[],
  plan: QueryPlan,
): Promise<ShardAnswer> {
  const statement = checked(context, sql, plan)
  const { signal = NEVER, merge, limit, offset, maxRows } = plan
  const isMerged = typeof merge === 'object'
  // One more than may be kept shows that there are too many. Groups are put in order when they are whole.
  const most = isMerged || limit === undefined ? maxRows + 1 : limit + offset
  const pushed = isMerged ? { ...plan, orderBy: [] } : plan
  const sent = await sentOf(context, statement, parameters, pushed, most, signal)
  const { answers, missing } = await askExactly<ShardRows>(
    context,
    plan,
    signal,
    (store, own) => store.query(sent, parameters, { signal: own }),
    () => undefined,
  )
  const shape: AnswerShape = { engine: context.engine, columns: answers[0]?.answer.columns ?? [] }
  if (isMerged) return { ...mergedGroups(answers, shape, plan), missing }
  const sources = answers.map(({ shard, answer }) => ({ shard, batches: once(answer.rows) }))
  const rows = await collected(arranged(sources, shape, plan), maxRows)
  return { columns: shape.columns, rows, missing }
}

/** Rows of several databases in their order, each once if that is asked for, and the section that is wanted. */
export function arranged(
  sources: readonly { readonly shard: string; readonly batches: AsyncIterator<readonly Row[]> }[],
  shape: AnswerShape,
  plan: QueryPlan,
): Batches {
  const all =
    plan.orderBy.length > 0 ? mergeSorted(sources, new Order(plan.orderBy, shape)) : concatenated(sources)
  // What one database gives is distinct by itself.
  const fresh = plan.distinct && sources.length > 1 ? distinct(all, shape.columns, plan.maxRows) : all
  return section(fresh, plan.offset, plan.limit)
}

function mergedGroups(
  answers: readonly { readonly shard: string; readonly answer: ShardRows }[],
  shape: AnswerShape,
  { merge, having, orderBy, offset, limit = Infinity, maxRows }: QueryPlan,
): { columns: readonly Column[]; rows: Row[] } {
  const merger = new GroupMerger(typeof merge === 'object' ? merge : {}, shape, maxRows)
  for (const { shard, answer } of answers) merger.add(shard, answer.rows)
  const columns = [...shape.columns, ...merger.ownColumns]
  let rows = merger.rows()
  if (having) rows = rows.filter((row) => having(row))
  if (orderBy.length > 0) rows = sorted(rows, new Order(orderBy, { ...shape, columns }))
  return { columns, rows: rows.slice(offset, offset + limit) }
}

function sorted(rows: readonly Row[], order: Order): Row[] {
  return rows
    .map((row) => ({ row, key: order.keyOf(row) }))
    .sort((a, b) => order.compare(a.key, b.key))
    .map(({ row }) => row)
}

/** All at once. */
function once(rows: readonly Row[]): AsyncIterator<readonly Row[]> {
  const batches = [rows].values()
  return { next: () => Promise.resolve(batches.next()) }
}
