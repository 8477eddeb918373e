import { AsyncLocalStorage } from 'node:async_hooks'
import { isPromise } from './maybe.js'

/** What something is part of the work for, and what is around that: they may be nested. */
interface Within {
  readonly holding: object
  readonly outer: Within | undefined
}

/** One for all, and only while something is worked for: each costs something at every await of the process. */
const within = new AsyncLocalStorage<Within>()
let working = 0

/** Works for what is held, a term or a transaction: whatever comes of it knows that it is part of its work. */
export function workFor<Result>(holding: object, work: () => Result): Result {
  const outer = within.getStore()
  if (outer?.holding === holding) return begun(work())
  working++
  let result: Result
  try {
    result = within.run({ holding, outer }, () => begun(work()))
  } catch (error) {
    ended()
    throw error
  }
  if (isPromise(result)) result.then(ended, ended)
  else ended()
  return result
}

/** What begins when it is awaited, as builders of queries do, begins here and once: with each `then` it would be done again. */
function begun<Result>(result: Result): Result {
  if (!isPromise(result) || (result as unknown) instanceof Promise) return result
  return new Promise((resolve, reject) => void result.then(resolve, reject)) as Result
}

/** Whether who asks is part of the work for what is held, and must not wait for its end. */
export function isWorkOf(holding: object): boolean {
  for (let each = within.getStore(); each; each = each.outer) if (each.holding === holding) return true
  return false
}

function ended(): void {
  if (--working === 0) within.disable()
}
