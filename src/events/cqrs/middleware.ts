import type { QueryOptions } from '../projections/index.js'
import type { ExecuteOptions } from './options.js'

/** A command or a query on its way to its handler. */
export interface Call {
  readonly kind: 'command' | 'query'
  readonly name: string
  /** As it was checked. */
  readonly input: unknown
  /** What was said with it: the id and actor of a command, the consistency of a query. */
  readonly options: Readonly<ExecuteOptions & QueryOptions>
}

/**
 * What stands between whoever asks and the handler: it may refuse by throwing, measure, or go on with `next`. The first of a
 * list is the outermost. One that tries again calls `next` again, one after the other: what the handler appends has the
 * same ids then, and is there once.
 */
export type CallMiddleware = (call: Call, next: () => Promise<unknown>) => Promise<unknown>

/** Runs a handler inside of its middleware. */
export function throughAll<Result>(
  use: readonly CallMiddleware[],
  call: Call,
  handler: () => Promise<Result>,
): Promise<Result> {
  const inner = use.reduceRight<() => Promise<unknown>>(
    (next, layer) => async () => layer(call, next),
    handler,
  )
  return inner() as Promise<Result>
}
