/** Somebody with a place in a table. */
export interface Owner {
  readonly id: string
  /** Above 0. */
  readonly weight: number
}

/**
 * Who is asked for a key, and who next: from the key's place on, in a circle. Made once for a set of owners, it does
 * not depend on their order.
 */
export interface HashTable {
  /** Indexes of owners. */
  readonly places: Uint32Array
  /** The place of a key by its 32 bits. */
  placeOf(hash: number): number
}
