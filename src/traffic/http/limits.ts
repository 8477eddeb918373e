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
  /** Silence between two requests on one connection. */
  readonly keepAliveTimeout: number
  /** Open client connections; more are closed at once. */
  readonly connections: number
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
  keepAliveTimeout: 75_000,
  connections: 20_000,
}
