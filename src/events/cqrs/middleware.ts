/** A command or a query on its way to its handler. */
export interface Call {
  readonly kind: 'command' | 'query'
  readonly name: string
  /** As it was checked. */
  readonly input: unknown
  /** What was said with it: id, actor, consistency. */
  readonly options: Readonly<Record<string, unknown>>
}

/**
 * What stands between whoever asks and the handler: it may refuse by throwing, measure, or go on with `next`. The first of a
 * list is the outermost.
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
