import { BanyanError, withoutStack } from '../../core/errors.js'

/** What a client is told that may not pass. */
export interface RefusalOptions {
  /** 4xx or 5xx. */
  status: number
  /** What happened, for people; goes to the client, so it says nothing of what is behind the gateway. */
  detail: string
  /** Stable name of the kind of problem; the last part of the problem's `type`. */
  kind: string
  /** Further header fields, such as `WWW-Authenticate`. */
  fields?: readonly (readonly [string, string])[]
  /** Members of the problem document besides the standard ones (RFC 9457 3.2). */
  extensions?: Readonly<Record<string, unknown>>
  /** ms until it is worth trying again. */
  retryAfter?: number
  cause?: unknown
}

/** A request that a filter does not let pass. Code `BANYAN_REQUEST_REFUSED`. */
export class Refusal extends BanyanError {
  readonly options: RefusalOptions

  constructor(options: RefusalOptions) {
    super('BANYAN_REQUEST_REFUSED', options.detail, { cause: options.cause })
    this.options = options
  }
}

/** Makes a {@link Refusal} without a stack trace. */
export function refusal(options: RefusalOptions): Refusal {
  return withoutStack(() => new Refusal(options))
}
