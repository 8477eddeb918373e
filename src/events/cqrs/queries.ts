import { checkOptions, type OptionTable } from '../../core/options.js'
import type { QueryContext, QueryOptions, ReadModels } from '../projections/index.js'
import type { StandardSchema } from '../../core/standard-schema.js'
import { checkInput, handlerOf, mustHandle, type GivenTo } from './input.js'
import { throughAll, type CallMiddleware } from './middleware.js'

/** Answers a query from one moment of a read model. */
export type QueryHandler<Input, Result, Db> = (
  input: Input,
  context: QueryContext<Db>,
) => Promise<Result> | Result

/** A handler with the read model that it reads and the schema of its input. */
export interface Query<Input, Result, Db, Given = Input> {
  readonly projection: string
  readonly schema: StandardSchema<Given, Input> | undefined
  readonly handler: QueryHandler<Input, Result, Db>
  /** For the compiler: what the input is before it is checked. There is no such property. */
  readonly given?: (input: Given) => void
}

/**
 * A query: which read model it reads, what its input must be, and how it answers.
 *
 * @param projection - or its name
 * @param schema - may be left out where the input is checked elsewhere
 */
export function query<Db, Given, Input, Result>(
  projection: Readable<Db> | string,
  schema: StandardSchema<Given, Input>,
  handler: QueryHandler<Input, Result, Db>,
): Query<Input, Result, Db, Given>
export function query<Db, Input, Result>(
  projection: Readable<Db> | string,
  handler: QueryHandler<Input, Result, Db>,
): Query<Input, Result, Db>
export function query<Db, Input, Result>(
  projection: Readable<Db> | string,
  schema: StandardSchema<unknown, Input> | QueryHandler<Input, Result, Db>,
  handler?: QueryHandler<Input, Result, Db>,
): Query<Input, Result, Db> {
  const name = typeof projection === 'string' ? projection : projection.name
  const [checked, handles] = handler
    ? [schema as StandardSchema<Input>, handler]
    : [undefined, schema as QueryHandler<Input, Result, Db>]
  mustHandle(handles, 'query')
  return { projection: name, schema: checked, handler: handles }
}

/** A projection, as far as a query needs to know it. */
interface Readable<Db> {
  readonly name: string
  readonly setup?: (context: { db: Db; table: (name: string) => string }) => unknown
}

// What each takes and gives is known where it is defined.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
type AnyQuery<Db> = Query<any, any, Db, any>

/** Options of {@link queries}. */
export interface QueriesOptions {
  /** What stands around every query, the outermost first. */
  use?: readonly CallMiddleware[]
}

const OPTIONS: OptionTable<QueriesOptions> = {
  use: {
    kind: 'list',
    of: { kind: 'code', type: 'function', doc: 'a middleware' },
    doc: 'around every query',
  },
}

/** Queries by name. */
export interface Queries<Db, Handlers extends Readonly<Record<string, AnyQuery<Db>>>> {
  /**
   * Asks a query.
   *
   * @param options - how new the read model must be; by default as it is
   * @throws `BANYAN_INVALID_INPUT`, `BANYAN_UNKNOWN_HANDLER`, what `ReadModels.query` throws, and what middleware and handler
   *   throw
   */
  ask<Name extends keyof Handlers & string>(
    name: Name,
    ...input: GivenTo<Handlers[Name], QueryOptions>
  ): Promise<Awaited<ReturnType<Handlers[Name]['handler']>>>
}

/** Puts queries together; `ask` is typed by their names. */
export function queries<Db, const Handlers extends Readonly<Record<string, AnyQuery<Db>>>>(
  models: ReadModels<Db>,
  handlers: Handlers,
  options: QueriesOptions = {},
): Queries<Db, Handlers> {
  checkOptions('queries', OPTIONS, options)
  const { use = [] } = options
  return {
    async ask(name: string, ...[given, said = {}]: [input?: unknown, options?: QueryOptions]) {
      const { projection, schema, handler } = handlerOf(handlers, name, 'query') as Query<unknown, never, Db>
      const input = await checkInput(schema, given, `the query ${name}`)
      const call = { kind: 'query', name, input, options: { ...said } } as const
      return throughAll(use, call, () => models.query(projection, (context) => handler(input, context), said))
    },
  }
}
