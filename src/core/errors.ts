/** What else an error knows. */
export interface BanyanErrorOptions {
  /** What led to this error; never dropped. */
  cause?: unknown
}

/**
 * The one error family of Banyan. `code` is stable across versions and safe to branch on; the message is for
 * people and says what happened, where, and what to do.
 *
 * Codes are listed in one table per plane: `core` here, traffic in `traffic/errors.ts`.
 *
 * | code | meaning |
 * |---|---|
 * | `BANYAN_INVALID_OPTIONS` | an option is unknown, missing or out of range; nothing was started |
 */
export class BanyanError extends Error {
  /** Stable and machine-readable, always `BANYAN_` and capitals. */
  readonly code: string

  constructor(code: `BANYAN_${string}`, message: string, options?: BanyanErrorOptions) {
    super(message, options)
    this.code = code
    this.name = new.target.name
  }
}

/**
 * Makes an error without collecting a stack trace. A refusal under overload happens thousands of times a second
 * and is never a fault of the line that made it; the trace would be most of its cost.
 */
export function withoutStack<E extends Error>(make: () => E): E {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  try {
    return make()
  } finally {
    Error.stackTraceLimit = limit
  }
}
