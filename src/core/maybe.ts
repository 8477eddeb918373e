/** Engines that answer at once need not make promises of it. */
export type Maybe<Value> = Value | Promise<Value>

/** Whether to wait for it. */
export function isPromise<Value>(value: Maybe<Value>): value is Promise<Value> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}

/** Goes on with a value: at once if it is there, as otherwise a synchronous transaction would be over by then. */
export function andThen<Value, Next>(value: Maybe<Value>, next: (value: Value) => Maybe<Next>): Maybe<Next> {
  return isPromise(value) ? value.then(next) : next(value)
}
