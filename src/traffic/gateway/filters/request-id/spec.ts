/** Gives every request an id. */
export interface RequestIdSpec {
  /** The field that carries it. Default `X-Request-Id`. */
  header?: string
  /** Whether an id that the client sends is kept. Default false: anybody could make two requests look like one. */
  keep?: boolean
}
