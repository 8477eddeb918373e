import { isComma, isSymbol, isWord, KNOWING, split } from './clauses.js'
import type { MergeOptions } from './merge-options.js'
import { notMergeable } from './not-mergeable.js'
import { isShardKey, type TableUse } from './tables-of.js'
import type { Token } from './tokens.js'

/** Functions over many rows, of both engines. */
const AGGREGATES = new Set(
  `any_value array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop covar_samp cume_dist decode_agg
  dense_rank every grouping group_concat geopoly_group_bbox json_agg json_agg_strict json_arrayagg json_group_array
  json_group_object json_object_agg json_object_agg_strict json_object_agg_unique json_object_agg_unique_strict json_objectagg
  jsonb_agg jsonb_agg_strict jsonb_group_array jsonb_group_object jsonb_object_agg jsonb_object_agg_strict
  jsonb_object_agg_unique jsonb_object_agg_unique_strict max median
  min mode percent_rank percentile percentile_cont percentile_disc range_agg range_intersect_agg rank regr_avgx regr_avgy
  regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy stddev stddev_pop stddev_samp string_agg sum total
  var_pop var_samp variance xmlagg`.split(/\s+/),
)

/** Where the aggregate functions of a piece begin. */
export function aggregatesIn(tokens: readonly Token[], engine: 'sqlite' | 'postgres'): number[] {
  const found: number[] = []
  for (const [index, { kind, text }] of tokens.entries()) {
    if ((kind !== 'word' && kind !== 'name') || !AGGREGATES.has(text.toLowerCase())) continue
    if (!isSymbol(tokens[index + 1], '(')) continue
    // SQLite has functions of the same name for several values of one row.
    const isOfRow =
      engine === 'sqlite' &&
      /^(min|max)$/i.test(text) &&
      split(argumentsAt(tokens, index), isComma, depthAt(tokens, index)).length > 1
    if (!isOfRow) found.push(index)
  }
  return found
}

/**
 * Checks that each piece of a SELECT that has an aggregate function is merged as that function needs it.
 *
 * @throws `BANYAN_QUERY_NOT_MERGEABLE`
 */
export function checkAggregates(
  sql: string,
  select: readonly Token[],
  merge: MergeOptions,
  uses: readonly TableUse[],
  engine: 'sqlite' | 'postgres',
): void {
  for (const item of split(select, isComma)) {
    const [index, ...more] = aggregatesIn(item, engine)
    if (index === undefined) continue
    const text = sql.slice(item[0]?.start, item.at(-1)?.end)
    if (index !== 0 || more.length > 0)
      throw notMergeable(
        `${text} computes with aggregates of one database: name each aggregate as a column of its own, merge those, and compute from the merged rows${KNOWING}`,
      )
    checkItem(text, item, merge, uses, engine)
  }
}

function checkItem(
  text: string,
  item: readonly Token[],
  merge: MergeOptions,
  uses: readonly TableUse[],
  engine: 'sqlite' | 'postgres',
): void {
  const name = item[0]?.text.toLowerCase() ?? ''
  const inside = argumentsAt(item, 0)
  const { sum = [], count = [], min = [], max = [], avg = {} } = merge
  if (isWord(inside[0], 'distinct') && name !== 'min' && name !== 'max') {
    if (name !== 'count' || !isShardKey(inside.slice(1), uses, engine))
      throw notMergeable(
        `${text}: what is different in one database may be in another, too. Select the distinct values with distinct: true and ${name} them here; only a count(distinct ...) of the shard key can be added up${KNOWING}`,
      )
  }
  if (name === 'avg')
    throw notMergeable(
      `${text}: averages of databases make no average. Select sum(...) as total and count(...) as n of the same, with merge: { avg: { average: { sum: 'total', count: 'n' } } }${KNOWING}`,
    )
  const extremes = (list: readonly (string | { column: string })[]): string[] =>
    list.map((entry) => (typeof entry === 'string' ? entry : entry.column))
  const averages = Object.values(avg)
  const ways: Record<string, readonly string[] | undefined> = {
    count: [...sum, ...count, ...averages.map((average) => average.count)],
    sum: [...sum, ...averages.map((average) => average.sum)],
    total: [...sum, ...averages.map((average) => average.sum)],
    min: extremes(min),
    max: extremes(max),
  }
  const way = ways[name]
  if (!way)
    throw notMergeable(
      `${text}: what ${name} gives of each database cannot be merged: select the rows, and compute it here${KNOWING}`,
    )
  const alias = aliasOf(text, item, inside.length + 3, name)
  const column =
    alias.kind === 'name' || engine === 'sqlite'
      ? text
          .slice(alias.start - (item[0]?.start ?? 0), alias.end - (item[0]?.start ?? 0))
          .replace(/^["`[](.*)["`\]]$/s, '$1')
      : alias.text
  if (!way.includes(column))
    throw notMergeable(
      `merge does not say that ${column} is ${text}: give merge: { ${name === 'total' ? 'sum' : name}: ['${column}'] }${KNOWING}`,
    )
}

/** The name of a column that is an aggregate and nothing else, with a FILTER or, for counts, a cast. */
function aliasOf(text: string, item: readonly Token[], from: number, name: string): Token {
  let at = from
  if (isWord(item[at], 'filter')) {
    at += 2
    while (at < item.length && (item[at]?.depth ?? 0) > 0) at++
  }
  // A count stays a whole number, whatever it is cast to.
  if (name === 'count' && isSymbol(item[at], '::')) at += 2
  if (isWord(item[at], 'as')) at++
  const alias = item[at]
  if (alias && at === item.length - 1 && (alias.kind === 'word' || alias.kind === 'name')) return alias
  throw notMergeable(
    item.length === from
      ? `${text} needs a name, by which it is merged: ${text} as n`
      : `${text} computes with an aggregate of one database: select the aggregate by itself, merge it, and compute from the merged rows${KNOWING}`,
  )
}

/** What is in the parentheses of a call. */
function argumentsAt(tokens: readonly Token[], index: number): Token[] {
  const depth = depthAt(tokens, index)
  const end = tokens.findIndex((token, at) => at > index + 1 && token.depth === depth && isSymbol(token, ')'))
  return tokens.slice(index + 2, end)
}

function depthAt(tokens: readonly Token[], index: number): number {
  return tokens[index + 1]?.depth ?? 0
}
