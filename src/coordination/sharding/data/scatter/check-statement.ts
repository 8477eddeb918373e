import { aggregatesIn, checkAggregates } from './aggregates.js'
import { clausesOf, isComma, isWord, KNOWING, split, statementOf } from './clauses.js'
import type { MergeOptions } from './merge-options.js'
import { notMergeable } from './not-mergeable.js'
import { isShardKey, tablesOf, type KnownTables } from './tables-of.js'

/**
 * Checks that the answers of several databases to a statement can be merged to what one database with all rows would answer. A statement
 * is cut into words and clauses, not understood: what is not certain is refused.
 *
 * @param options.merge - how; `'concat'` or `unchecked` for who knows that it can
 * @returns the statement, without a semicolon at its end
 * @throws `BANYAN_QUERY_NOT_MERGEABLE`, which says what to write instead
 */
export function checkStatement(
  given: string,
  known: KnownTables,
  engine: 'sqlite' | 'postgres',
  {
    merge,
    distinct = false,
  }: { merge?: MergeOptions | 'concat' | undefined; distinct?: boolean | undefined },
): string {
  const statement = statementOf(given, engine)
  if (merge === 'concat' || merge?.unchecked === true) return statement.sql
  const clauses = clausesOf(statement, engine)
  const { sql, select, groupBy, having } = clauses
  const uses = tablesOf(clauses.from, known, engine)
  const groups = groupBy.length > 0 ? split(groupBy, isComma) : []
  if (groupBy.some((token) => ['rollup', 'cube', 'sets'].some((word) => isWord(token, word))))
    throw notMergeable(`groups of groups cannot be merged: ask for each GROUP BY by itself${KNOWING}`)
  if (clauses.isDistinct && (merge || !distinct))
    throw notMergeable(
      merge
        ? `DISTINCT and merge do not go together: GROUP BY leaves each group once${KNOWING}`
        : `DISTINCT leaves out what is twice in one database: give distinct: true as well${KNOWING}`,
    )
  // All rows of a group are in one database then.
  if (groups.some((group) => isShardKey(group, uses, engine))) {
    if (merge) throw notMergeable('groups of one shard key are whole in their database: leave merge out')
    return sql
  }
  const hasAggregates = aggregatesIn(select, engine).length > 0
  if (!merge) {
    if (hasAggregates || groups.length > 0 || having.length > 0)
      throw notMergeable(
        `each database answers for its own rows: say in merge how ${groups.length > 0 ? 'the groups' : 'the rows'} become one, as in merge: { groupBy: ['status'], count: ['n'] } for count(*) as n; an average is one of merged sums and counts, avg: { mean: { sum: 's', count: 'n' } } for sum(total) as s, count(total) as n${KNOWING}`,
      )
    return sql
  }
  if (having.length > 0)
    throw notMergeable(
      `HAVING sees the rows of one database only: give having as an option, which sees the merged rows${KNOWING}`,
    )
  const { groupBy: names = [] } = merge
  if (new Set(names).size < names.length)
    throw notMergeable(`merge.groupBy names a column twice: ${names.join(', ')}`)
  if (names.length !== groups.length)
    throw notMergeable(
      `the statement has ${groups.length} columns in GROUP BY, merge has ${names.length} in groupBy: both must name the same${KNOWING}`,
    )
  if (!hasAggregates && groups.length === 0)
    throw notMergeable('the statement has no aggregates that could be merged: leave merge out')
  checkAggregates(sql, select, merge, uses, engine)
  return sql
}
