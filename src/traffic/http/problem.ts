import { reasonOf } from './writer.js'

/** A problem document of RFC 9457. */
export interface Problem {
  /** HTTP status. */
  status: number
  /** What happened, for people; says nothing of what is behind the gateway. */
  detail: string
  /** Stable name of the kind of problem; `type` becomes `about:blank` without one. */
  code?: string | undefined
  /** ms until it is worth trying again; sent as `Retry-After` too. */
  retryAfter?: number | undefined
  /** Further members of the document. */
  extensions?: Readonly<Record<string, unknown>> | undefined
}

/** A problem as `application/problem+json`, with its status line and fields. */
export function problemResponse(problem: Problem): {
  status: number
  fields: [string, string][]
  body: Buffer
} {
  const { status, detail, code, retryAfter } = problem
  const seconds = retryAfter === undefined ? undefined : Math.max(1, Math.ceil(retryAfter / 1000))
  const document = {
    type: code === undefined ? 'about:blank' : `urn:banyan:problem:${code}`,
    title: reasonOf(status),
    status,
    detail,
    ...(seconds === undefined ? {} : { retryAfter: seconds }),
    ...problem.extensions,
  }
  const fields: [string, string][] = [
    ['Content-Type', 'application/problem+json'],
    ['Cache-Control', 'no-store'],
  ]
  if (seconds !== undefined) fields.push(['Retry-After', String(seconds)])
  return { status, fields, body: Buffer.from(JSON.stringify(document)) }
}
