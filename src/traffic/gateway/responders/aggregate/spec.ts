import type { Bytes } from '../../../../core/bytes.js'
import type { Duration } from '../../../../core/duration.js'

/**
 * Answers one request from several services. Text may hold `$(expression)` wherever a value may stand; expressions are
 * JMESPath over `request` and the branches by name.
 */
export interface AggregateSpec {
  /** The requests to make, by name. Those that read nothing of each other are made at the same time. */
  branches: Record<string, BranchSpec>
  /**
   * How the bodies become one without `answer.body`: `branches` gives an object with a member for each branch,
   * `shallow` the members of all bodies in one object, later branches over earlier ones. Default `branches`.
   */
  merge?: 'branches' | 'shallow'
  answer?: {
    /** Default 200. */
    status?: number | string
    headers?: Record<string, string>
    /** The body, as a template. */
    body?: unknown
  }
  /** Most bytes of all bodies together, decoded. Default `'4MB'`. */
  maxBytes?: Bytes
  /** Most levels of arrays and objects in a body. Default 64. */
  maxDepth?: number
}

/** One request, or one for each element of a list. */
export interface BranchSpec {
  service: string
  /** Default GET. */
  method?: string
  /** Path at the service; `:name` is that part of the route's path. Values are percent-encoded, and none may be empty. */
  path: string
  /** Query parameters. A list stands once for each element, `null` not at all. */
  query?: Record<string, unknown>
  /** Header fields. `null` is left out. */
  headers?: Record<string, string>
  /** The client's header fields that are passed on. Default none. */
  forward?: string[]
  /** Body, sent as JSON. */
  body?: unknown
  /** For each request, from its start to the end of its answer. Default: the deadline of the call. */
  timeout?: Duration
  /** Branches to wait for whose values are not read. */
  after?: string[]
  /** Expression: the branch is skipped unless it is true. */
  when?: string
  /** Expression for a list: one request for each element, which is `item`, and its number `index`. */
  forEach?: string
  /** Most elements of that list; a longer one is an error. Default 100. */
  maxItems?: number
  /** Most requests at the same time for that list. Default 10. */
  concurrency?: number
  /** Whether there is an answer without this branch, and what stands in for its body. Default `null`. */
  optional?: true | { default?: unknown }
  /** Statuses of this branch that end the whole with a status, such as `404: 404`. */
  onStatus?: Record<string, number>
}

/** What expressions may read of a branch. */
export const BRANCH_MEMBERS = ['ok', 'status', 'headers', 'body'] as const

/** Names of branches that would hide something. */
export const RESERVED = ['request', 'item', 'index', 'response']
