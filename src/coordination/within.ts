import { AsyncLocalStorage } from 'node:async_hooks'

/** A term, or a bucket, whose work something is part of, and those around it: they may be nested. */
interface Within {
  readonly holding: object
  readonly outer: Within | undefined
}

/** One for all, as each costs something at every await of the process. */
const within = new AsyncLocalStorage<Within>()

/** Works for what is held: whatever comes of it knows that it is part of its work. */
export function workFor<Result>(holding: object, work: () => Result): Result {
  const outer = within.getStore()
  return outer?.holding === holding ? work() : within.run({ holding, outer }, work)
}

/** Whether who asks is part of the work for what is held, and must not wait for its end. */
export function isWorkOf(holding: object): boolean {
  for (let each = within.getStore(); each; each = each.outer) if (each.holding === holding) return true
  return false
}
