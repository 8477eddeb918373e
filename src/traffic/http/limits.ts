/** Bounds on what one connection may ask of us. Sizes are in bytes, times in ms. */
export interface HttpLimits {
  /** Start line and header section together. Over it: 414 while in the target, else 431. */
  readonly headBytes: number
  /** Fields in a header or trailer section. Over it: 431. */
  readonly fieldCount: number
  /** The request target. Over it: 414. */
  readonly targetBytes: number
  /** A request body. Over it: 413. */
  readonly bodyBytes: number
  /** Extensions of one chunk; nobody uses them but attackers. */
  readonly chunkExtensionBytes: number
  /** From the first byte of a head to its last. Over it: 408. */
  readonly headTimeout: number
  /** Silence in the middle of a body, either way. */
  readonly idleTimeout: number
  /**
   * Bytes a second at which a request body must come on average, after the first 5 s; 0 for none. Time in which we take
   * no bytes does not count. Over it: 408. As Kestrel's `MinRequestBodyDataRate`.
   */
  readonly minimumRate: number
  /** Silence between two requests on one connection. */
  readonly keepAliveTimeout: number
  /** Open client connections. At the bound one without a request makes room for a new one; else that is closed. */
  readonly connections: number
  /** Requests under way at the same time on one connection of HTTP/2. More are reset, to be made again. */
  readonly streams: number
  /**
   * Requests that a client of HTTP/2 may call off before their answer, or get wrong, in a burst; 20 a second are
   * forgiven. Over it: GOAWAY (rapid reset, CVE-2023-44487).
   */
  readonly streamResets: number
  /**
   * Bytes a second that a client of HTTP/2 may send beside requests and what goes with them: PING, SETTINGS, PRIORITY,
   * WINDOW_UPDATE, empty frames. Over it: GOAWAY.
   */
  readonly controlBytes: number
}

/** The defaults: room for every honest client, and an end to every other. */
export const defaultHttpLimits: HttpLimits = {
  headBytes: 32 * 1024,
  fieldCount: 100,
  targetBytes: 8 * 1024,
  bodyBytes: Infinity,
  chunkExtensionBytes: 256,
  headTimeout: 10_000,
  idleTimeout: 60_000,
  minimumRate: 240,
  keepAliveTimeout: 75_000,
  connections: 20_000,
  streams: 100,
  streamResets: 200,
  controlBytes: 16 * 1024,
}
