/** What a strategy says of the 32 bits of a key: indexes of shards. */
export interface Rule {
  first(hash: number): number
  all(hash: number): Iterable<number>
}
