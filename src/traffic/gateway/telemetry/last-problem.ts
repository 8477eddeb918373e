import { messageOf } from './error-type.js'

/** Why something went wrong for the last time. */
export interface LastProblem {
  /** ms since the Unix epoch. */
  at: number
  /** Name of the problem, or code of the error. */
  reason: string
  /** For operators. */
  message: string | undefined
}

/** Text is only made when somebody asks. */
export function describe({ at, reason, error }: { at: number; reason: string; error: unknown }): LastProblem {
  return { at, reason, message: messageOf(error) }
}
