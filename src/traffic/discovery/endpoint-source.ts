/** Which registered instances are the endpoints of a service. */
export interface RegistryQuery {
  /** Name under which they are registered. */
  service: string
  /** Only those that have it, or all of these. Default: any. */
  tag?: string | string[]
}

/** An endpoint that was found. */
export interface FoundEndpoint {
  /** `http(s)://host:port` */
  readonly url: string
  readonly weight: number
  readonly zone: string | undefined
}

/** What `banyan status` shows of endpoints that were looked for. */
export interface FollowedState {
  /** Name under which they are registered. */
  readonly service: string
  /** Whether the registry has answered yet. */
  readonly known: boolean
  /** How many are kept that the registry has no more. */
  readonly doubted: number
  /** Why what is known may be behind, and since when, in ms since the epoch. */
  readonly problem?: string
  readonly since?: number
}

/** Endpoints that are followed. */
export interface FollowedEndpoints {
  /** Those there are now; undefined while nobody has answered yet. */
  readonly endpoints: readonly FoundEndpoint[] | undefined
  state(): FollowedState
  close(): void
}

/** Where the endpoints of services are looked for while a gateway runs; handed to it by who knows a registry. */
export interface EndpointSource {
  /** @param onChange - called when there are others, or the same are another way */
  follow(query: RegistryQuery, onChange: () => void): FollowedEndpoints
}
