/** How a service's requests are kept in the node's own zone. */
export interface ZoneOptions {
  /**
   * How much more than its even part an endpoint can bear before requests leave the zone. At the default of 1.4 they
   * stay as long as about 70% of the zone's endpoints are there.
   */
  overprovision?: number
}

/** What weighs how much. */
export interface ZoneWeights {
  /** Of the own zone's endpoints that take requests. */
  own: number
  /** Of all endpoints that take requests. */
  available: number
  /** Of all endpoints, whatever their state. */
  total: number
  /** Number of zones that have endpoints. */
  zones: number
}

/**
 * The share of the requests that stays in the own zone: all of them while it has enough for its part, assuming that
 * as many come from each zone; else what it can bear, and never less than by weight over all zones. Envoy's
 * overprovisioning factor and zone-aware routing in one, without the need to know other nodes.
 */
export function ownZoneShare(
  { own, available, total, zones }: ZoneWeights,
  { overprovision = 1.4 }: ZoneOptions,
): number {
  if (own === 0 || available === 0) return 0
  const demand = total / zones
  return Math.max(Math.min(1, (overprovision * own) / demand), own / available)
}
