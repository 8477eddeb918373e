import { clientProblem } from '../../problems.js'
import { refusal, type Refusal } from '../../refusal.js'

/** A branch was answered with a status that is no success. */
export class StatusError extends Error {
  readonly status: number

  constructor(status: number) {
    super(`answered with ${status}`)
    this.status = status
  }
}

/** A branch of a list has failed, whatever the reason; the list fails with it. */
export class BranchError extends Error {
  readonly branch: string

  constructor(branch: string, cause: unknown) {
    super(`the branch \`${branch}\` has failed`, { cause })
    this.branch = branch
  }
}

/** What a client is told of a required branch that failed: its name, and nothing of what is behind it. */
export function branchRefusal(branch: string, error: unknown): Refusal {
  const extensions = { branch }
  const problem = clientProblem(error)
  // What is no error of the traffic plane is an answer that could not be used.
  if (problem.code === undefined) {
    return refusal({
      status: 502,
      kind: 'branch-failed',
      detail: `A part of the answer could not be had: \`${branch}\`.`,
      extensions,
      cause: error,
    })
  }
  const { status, code, detail, retryAfter } = problem
  return refusal({
    // Too many requests are the client's fault only where the client has made them.
    status: status === 429 ? 503 : status,
    kind: code,
    detail: `A part of the answer could not be had: \`${branch}\`. ${detail}`,
    extensions,
    ...(retryAfter === undefined ? {} : { retryAfter }),
    cause: error,
  })
}
