import { BanyanError } from '../../../core/errors.js'
import { checkOptions, type OptionTable } from '../../../core/options.js'
import { Candidate, keyOf, type SampleRow } from './candidate.js'
import { judge, type SampleQuery, type ShardKeyCandidate } from './judge.js'

/** Options of {@link adviseShardKey}. */
export interface ShardKeyAdviceOptions {
  /** Shards that rows would be spread over, 2 to 4,096. Default 16. */
  shards?: number
  /** Columns that are looked at, at most 32. Default: those of the first 1,000 rows, the first 32. */
  columns?: readonly string[]
  /**
   * Whether two columns together are looked at, too: those that a query compares both, or without queries the six with the most
   * values that are not each row's own. Default true.
   */
  pairs?: boolean
  /** What queries compare; without it the advice knows nothing of them. */
  queries?: readonly SampleQuery[]
  /** Columns that name a row: where the sample has versions of a row, one behind the other, it is seen which columns change. */
  id?: string | readonly string[]
  /** Rows that are read at most; the sample is closed behind them. Default 1,000,000. */
  rows?: number
}

const OPTIONS: OptionTable<ShardKeyAdviceOptions> = {
  shards: { kind: 'number', min: 2, max: 4096, integer: true, doc: 'shards that rows would be spread over' },
  columns: { kind: 'list', of: { kind: 'string', doc: 'name' }, doc: 'columns that are looked at' },
  pairs: { kind: 'boolean', doc: 'whether two columns together are looked at' },
  queries: {
    kind: 'list',
    of: {
      kind: 'group',
      options: {
        filters: {
          kind: 'list',
          of: { kind: 'string', doc: 'column' },
          doc: 'columns compared with a value',
        },
        weight: { kind: 'number', min: 1e-9, doc: 'how often it comes' },
      },
      doc: 'a kind of query',
    },
    doc: 'what queries compare',
  },
  id: {
    kind: 'either',
    of: [
      { kind: 'string', doc: 'column' },
      { kind: 'list', of: { kind: 'string', doc: 'column' }, doc: 'columns' },
    ],
    doc: 'columns that name a row',
  },
  rows: { kind: 'number', min: 1, integer: true, doc: 'rows that are read at most' },
}

/** What {@link adviseShardKey} says. */
export interface ShardKeyAdvice {
  /** Rows that were looked at. */
  readonly rows: number
  readonly shards: number
  /** The best first. */
  readonly candidates: readonly ShardKeyCandidate[]
}

const MOST_COLUMNS = 32
const MOST_PAIRED = 6
/** Rows that are kept to see which columns there are. */
const FIRST = 1_000
/** Rows whose versions are followed. */
const MOST_IDS = 10_000

/**
 * Says which columns of a table would make a good shard key, from a sample of rows, in the order in which they were made: how many
 * values there are, how even rows would be over shards, what is missing, what changes, and which queries could go to one shard. The memory
 * it takes does not grow with the sample.
 *
 * @param sample - rows, as objects
 * @throws `BANYAN_INVALID_OPTIONS`, also for a sample without rows
 */
export async function adviseShardKey(
  sample: Iterable<SampleRow> | AsyncIterable<SampleRow>,
  options: ShardKeyAdviceOptions = {},
): Promise<ShardKeyAdvice> {
  checkOptions('adviseShardKey', OPTIONS, options)
  if ((options.columns?.length ?? 0) > MOST_COLUMNS)
    throw invalid(`columns must be ${MOST_COLUMNS} at most, got ${options.columns!.length}`)
  const { rows: most = 1_000_000 } = options
  const first: SampleRow[] = []
  let study: Study | undefined
  let rows = 0
  for await (const row of sample) {
    const given: unknown = row
    if (typeof given !== 'object' || given === null)
      throw invalid(`a row must be an object, got ${given === null ? 'null' : typeof given}`)
    rows++
    if (study) study.add(row)
    else if (first.push(row) === FIRST) study = new Study(first, options)
    if (rows >= most) break
  }
  if (rows === 0) throw invalid('the sample has no rows')
  study ??= new Study(first, options)
  const { shards, candidates } = study
  const judged = candidates.map((candidate) =>
    judge(candidate.columns, candidate.facts(), { rows, shards, queries: options.queries }),
  )
  return {
    rows,
    shards,
    candidates: judged.sort((a, b) => b.score - a.score || a.columns.length - b.columns.length),
  }
}

/** All candidates, and the versions of rows. */
class Study {
  readonly shards: number
  readonly candidates: readonly Candidate[]
  readonly #id: readonly string[] | undefined
  /** The hashes of the candidates in the last version of a row. */
  readonly #versions = new Map<string, (number | undefined)[]>()

  constructor(first: readonly SampleRow[], options: ShardKeyAdviceOptions) {
    const { shards = 16, pairs = true, queries, id } = options
    this.shards = shards
    this.#id = typeof id === 'string' ? [id] : id
    const columns =
      options.columns ?? [...new Set(first.flatMap((row) => Object.keys(row)))].slice(0, MOST_COLUMNS)
    const both = pairs ? (queries ? pairsOfQueries(columns, queries) : pairsOfValues(columns, first)) : []
    this.candidates = [...columns.map((column) => [column]), ...both].map(
      (each) => new Candidate(each, shards),
    )
    for (const row of first) this.add(row)
  }

  add(row: SampleRow): void {
    const hashes = this.candidates.map((candidate) => candidate.add(row))
    const id = this.#id && keyOf(row, this.#id)
    if (id === undefined) return
    const before = this.#versions.get(id)
    if (!before && this.#versions.size >= MOST_IDS) return
    if (before)
      for (const [index, candidate] of this.candidates.entries())
        candidate.again(before[index] !== hashes[index])
    this.#versions.set(id, hashes)
  }
}

function pairsOfQueries(columns: readonly string[], queries: readonly SampleQuery[]): string[][] {
  const found = new Map<string, string[]>()
  for (const { filters } of queries)
    for (const pair of pairsOf(columns.filter((column) => filters.includes(column))))
      found.set(JSON.stringify(pair), pair)
  return [...found.values()]
}

/** A column where each row has its own value gains nothing by another. */
function pairsOfValues(columns: readonly string[], rows: readonly SampleRow[]): string[][] {
  const chosen = columns
    .map((column) => ({ column, values: new Set(rows.map((row) => keyOf(row, [column]))).size }))
    .filter(({ values }) => values > 1 && values < rows.length * 0.9)
    .sort((a, b) => b.values - a.values)
    .slice(0, MOST_PAIRED)
    .map(({ column }) => column)
  return pairsOf(columns.filter((column) => chosen.includes(column)))
}

function pairsOf(columns: readonly string[]): string[][] {
  return columns.flatMap((one, index) => columns.slice(index + 1).map((other) => [one, other]))
}

function invalid(problem: string): Error {
  return new BanyanError('BANYAN_INVALID_OPTIONS', `adviseShardKey: ${problem}`)
}
