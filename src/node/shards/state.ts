/** What `banyan status` and `GET /api/state` tell of an application in several databases. */
export interface HostedShardsState {
  /** Where they are, by the names of their shards, without secrets. */
  databases: Readonly<Record<string, string>>
  /** Whether one at least is open, so that moves are made: here, or by another node. */
  ready: boolean
  /** Those that are not, and why; they are tried again. */
  away?: Readonly<Record<string, string>>
  /** How many moves are on their way, and how many of them something is in the way of. */
  moves: number
  stuck: number
  /** Why none is open. */
  problem?: string
}
