import { checkStatement } from './check-statement.js'
import type { Column } from '../store.js'
import { askAll } from './ask-all.js'
import type { ScatterContext } from './context.js'
import type { QueryPlan } from './options.js'
import { pushedDown } from './pushed-down.js'

/** Columns of statements that were asked for before, by the context and the text. */
const KNOWN = new WeakMap<ScatterContext, Map<string, readonly Column[]>>()
/** Statements whose columns are kept, at most. */
const MOST = 500

/**
 * What is sent to each database.
 *
 * @param sql - as it was checked
 * @param most - rows that are wanted of each, at most
 */
export async function sentOf(
  context: ScatterContext,
  sql: string,
  parameters: readonly unknown[],
  plan: QueryPlan,
  most: number | undefined,
  signal: AbortSignal,
): Promise<string> {
  const { engine } = context
  // PostgreSQL has a collation for texts only, so it must be known which columns are some.
  const isCollated = plan.orderBy.some(({ collate, compare }) => collate === undefined && !compare)
  const columns =
    engine === 'postgres' && isCollated ? await columnsOf(context, sql, parameters, plan, signal) : []
  return pushedDown(sql, plan, most, engine, columns)
}

/** The statement without a semicolon, if it can be merged. */
export function checked(context: ScatterContext, sql: string, { merge, distinct }: QueryPlan): string {
  return checkStatement(sql, context.known, context.engine, { merge, distinct })
}

async function columnsOf(
  context: ScatterContext,
  sql: string,
  parameters: readonly unknown[],
  plan: QueryPlan,
  signal: AbortSignal,
): Promise<readonly Column[]> {
  let known = KNOWN.get(context)
  if (!known) KNOWN.set(context, (known = new Map<string, readonly Column[]>()))
  const before = known.get(sql)
  // A table may have got columns since, of which nobody knows what they are.
  if (before && plan.orderBy.every(({ column }) => before.some(({ name }) => name === column))) return before
  const nothing = pushedDown(sql, { orderBy: [], distinct: false }, 0, context.engine, [])
  // Any database will do: they have the same tables.
  const { answers } = await askAll(
    context.stores(),
    (store, own) => store.query(nothing, parameters, { signal: own }),
    plan,
    { runtime: context.runtime, signal, dispose: () => undefined },
  )
  const columns = answers[0]?.answer.columns ?? []
  if (known.size >= MOST) known.clear()
  known.set(sql, columns)
  return columns
}
