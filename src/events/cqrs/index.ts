/**
 * CQRS: commands change what is in the log, queries read what projections have made of it. Commands give a token
 * (`commands.ts`), which a query takes to see what they did (`queries.ts`). Both check their input (`input.ts`), and run
 * through middleware (`middleware.ts`).
 */
export {
  command,
  commands,
  type Command,
  type CommandContext,
  type CommandHandler,
  type Commands,
  type CommandsOptions,
  type Done,
} from './commands.js'
export type { Call, CallMiddleware } from './middleware.js'
export type { ExecuteOptions } from './options.js'
export {
  queries,
  query,
  type Queries,
  type QueriesOptions,
  type Query,
  type QueryHandler,
} from './queries.js'
