/**
 * A request over HTTP, as little of it as it takes to answer: what stands between those who answer requests and the
 * servers that listen, so that neither needs to know the other.
 */
export interface HandlerRequest {
  readonly method: string
  /** The path that the handler is reached at, without a slash at its end; what links begin with. */
  readonly base: string
  /** What follows `base`, percent-encoded as it came: empty, or with a slash at its beginning. */
  readonly path: string
  readonly query: URLSearchParams
  /** Header fields in the order and spelling they were received. */
  readonly fields: Iterable<readonly [name: string, value: string]>
  /**
   * One header field; several lines are joined with a comma.
   *
   * @param lower - the name in lower case
   */
  field(lower: string): string | undefined
  /**
   * Reads the whole body.
   *
   * @param most - bytes
   * @returns rejects with what the server answers itself if it is longer or breaks off
   */
  body(most: number): Promise<Buffer>
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal
  /** Who asks, if somebody has found out. */
  readonly caller: string | undefined
  /** W3C trace context that the answering belongs to. */
  readonly traceparent: string | undefined
}

/** What a handler answers. */
export interface HandlerAnswer {
  readonly status: number
  readonly fields: readonly (readonly [name: string, value: string])[]
  /**
   * In full, or part by part. The next part is asked for when the client takes it; what `return` does is done when it
   * goes. An error in the middle breaks the answer off, so that nobody takes it for complete.
   */
  readonly body: Buffer | AsyncIterable<Buffer>
}

/** A request that is refused or has failed: becomes a problem document (RFC 9457) in the style of the server. */
export interface HandlerProblem {
  /** 4xx or 5xx. */
  readonly status: number
  /** Stable name of the kind of problem. */
  readonly kind: string
  /** What happened, for people; goes to the client. */
  readonly detail: string
  readonly fields?: readonly (readonly [string, string])[]
  /** Further members of the document. */
  readonly extensions?: Readonly<Record<string, unknown>>
  /** ms until it is worth trying again. */
  readonly retryAfter?: number
}

/** Answers requests; never rejects but for what `body` has rejected with, and for faults of its own. */
export type HttpHandler = (
  request: HandlerRequest,
) => Promise<HandlerAnswer | { readonly problem: HandlerProblem }>
