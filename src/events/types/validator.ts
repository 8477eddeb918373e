import type { EventProblem } from './invalid-event.js'

/** What came of checking data: what to keep of it, or why not. */
export type Verdict = { readonly value: unknown } | { readonly problems: readonly EventProblem[] }

/** Checks data of a type. */
export type Validator = (data: unknown, type: string) => Verdict | Promise<Verdict>
