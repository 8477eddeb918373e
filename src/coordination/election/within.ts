import { AsyncLocalStorage } from 'node:async_hooks'

/** A term whose work something is part of, and those around it: elections may be nested. */
interface Within {
  readonly term: object
  readonly outer: Within | undefined
}

/** One for all elections, as each costs something at every await of the process. */
const within = new AsyncLocalStorage<Within>()

/** Works for a term: whatever comes of it knows that it is part of its work. */
export function workFor<Result>(term: object, work: () => Result): Result {
  const outer = within.getStore()
  return outer?.term === term ? work() : within.run({ term, outer }, work)
}

/** Whether who asks is part of the work of a term, and must not wait for its end. */
export function isWorkOf(term: object): boolean {
  for (let each = within.getStore(); each; each = each.outer) if (each.term === term) return true
  return false
}
