import { isIP } from 'node:net'
import { isDeepStrictEqual } from 'node:util'
import { BanyanError } from '../../core/errors.js'
import type { Runtime } from '../../core/runtime.js'
import { balancer, type BalanceSpec } from '../balancing/balancer.js'
import type { Balancer } from '../balancing/candidate.js'
import { ownZoneShare, type ZoneOptions } from '../balancing/zones.js'
import type {
  EndpointSource,
  FollowedEndpoints,
  FollowedState,
  RegistryQuery,
} from '../discovery/endpoint-source.js'
import { Resolution, type ResolutionState } from '../discovery/resolution.js'
import type { Resolver } from '../discovery/resolver.js'
import { parseEndpoint } from './address.js'
import type { Endpoint, Place } from './endpoint.js'
import { parseHashKey, type HashKey } from './hash-key.js'
import type { OutgoingWork } from './outgoing-work.js'
import type { EndpointSpec } from './spec.js'

/** What a set of endpoints works with. */
export interface EndpointSetOptions {
  /** Name of the service. */
  service: string
  balance: BalanceSpec
  /** Zone of this node. */
  zone: string | undefined
  zones: ZoneOptions | false
  /** Share of available endpoints below which all are used; 0 for never. */
  panicBelow: number
  runtime: Runtime
  resolver: Resolver
  source: EndpointSource | undefined
  make(place: Place): Endpoint
  /** Starts the checks of an endpoint, if there are any. */
  begin(endpoint: Endpoint): void
  /** An endpoint is no longer part of the set. */
  forget(endpoint: Endpoint): void
}

/** Where endpoints are. */
export interface EndpointPlaces {
  /** Those of the configuration. */
  readonly endpoints: readonly (string | EndpointSpec)[]
  /** Which registered ones are to be used instead, as soon as there are some. */
  readonly query: RegistryQuery | undefined
}

/** An entry of the configuration, and what its name stands for. */
interface Entry {
  spec: EndpointSpec
  resolution: Resolution | undefined
}

interface Member {
  endpoint: Endpoint
  slot: number | undefined
}

/** The endpoints of our own zone and of the others. */
interface ByZone {
  own: readonly Endpoint[]
  others: readonly Endpoint[]
  /** Share of the traffic that stays in our own. */
  ownShare: number
}

/**
 * The endpoints of a service: which there are (the list of the configuration, the addresses of names, the registry), which
 * of them take requests (checks, ejections, panic), and which one takes the next (zone, balancer).
 */
export class EndpointSet {
  readonly #options: EndpointSetOptions
  readonly #balancer: Balancer<Endpoint>
  readonly #keyOf: HashKey | undefined
  #entries: readonly Entry[] = []
  #query: RegistryQuery | undefined = undefined
  /** The registered ones; undefined before the start, and where none are looked for. */
  #followed: FollowedEndpoints | undefined = undefined
  /** Those of the query before, for as long as nobody has answered this one. */
  #outgoing: FollowedEndpoints | undefined = undefined
  /** By the identity of the place. */
  #members = new Map<string, Member>()
  #all: readonly Endpoint[] = []
  #among: readonly Endpoint[] = []
  /** The same, apart by zone; `undefined` while the zone does not matter. */
  #zoned: ByZone | undefined = undefined
  #panic = false
  #started = false

  /** @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` */
  constructor(places: EndpointPlaces, options: EndpointSetOptions) {
    const { balance, runtime } = options
    this.#options = options
    this.#balancer = balancer(balance, runtime)
    this.#keyOf = typeof balance === 'object' ? parseHashKey(balance.hash) : undefined
    this.update(places)
  }

  get all(): readonly Endpoint[] {
    return this.#all
  }

  /** Those that take requests, as far as their breakers let them. */
  get takers(): readonly Endpoint[] {
    return this.#among
  }

  /** Whether too few endpoints are available, so that all of them are used. */
  get panic(): boolean {
    return this.#panic
  }

  /** Share of the requests that stays in the node's own zone; `undefined` while the zone does not matter. */
  get ownZoneShare(): number | undefined {
    return this.#zoned?.ownShare
  }

  /** Whether nobody has said yet where registered endpoints are, and there are no others. */
  get waits(): boolean {
    return this.#query !== undefined && !this.#followed?.endpoints && this.#all.length === 0
  }

  /** What is known of the registered ones, where some are looked for. */
  get followed(): FollowedState | undefined {
    return this.#followed?.state()
  }

  /** Begins checks, and questions for addresses. May be called again. */
  start(): void {
    this.#started = true
    this.#follow()
    for (const { resolution } of this.#entries) resolution?.start()
    for (const endpoint of this.#all) this.#options.begin(endpoint)
  }

  /**
   * Takes other places; endpoints that are in both stay as they are.
   *
   * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS`; nothing has changed then
   */
  update({ endpoints: entries, query }: EndpointPlaces): void {
    const { service, source } = this.#options
    if (query && !source)
      throw new BanyanError(
        'BANYAN_INVALID_OPTIONS',
        `services.${service}.registry: there is no registry to look in`,
      )
    if (!isDeepStrictEqual(query, this.#query)) {
      this.#outgoing?.close()
      this.#outgoing = this.#followed
      this.#followed = undefined
      this.#query = query
      if (this.#started) this.#follow()
      if (!query) this.#endOutgoing()
    }
    const before = new Map(this.#entries.map((entry) => [keyOf(entry.spec), entry]))
    this.#entries = entries.map((given) => {
      const spec = typeof given === 'string' ? { url: given } : given
      const known = before.get(keyOf(spec))
      before.delete(keyOf(spec))
      return { spec, resolution: known ? known.resolution : this.#resolutionOf(spec) }
    })
    for (const { resolution } of before.values()) resolution?.close()
    this.#reconcile()
    if (this.#started) this.start()
  }

  /** The endpoint for a try; `undefined` if none takes requests. */
  pick(work: OutgoingWork): Endpoint | undefined {
    const avoid = work.last as Endpoint | undefined
    const zoned = this.#zoned
    if (zoned) {
      const own = this.#options.runtime.random.next() < zoned.ownShare
      const found = this.#balancer.pick(own ? zoned.own : zoned.others, avoid)
      if (found && found !== avoid) return found
    }
    return this.#balancer.pick(this.#among, avoid, this.#keyOf?.(work))
  }

  /** What is known of an endpoint has changed. */
  refresh(): void {
    const { panicBelow, service, runtime } = this.#options
    const members = this.#all.filter(({ weight }) => weight > 0)
    // Those that wait for their first check are no reason to panic, and take nothing in it.
    const known = members.filter(({ pending }) => !pending)
    const available = known.filter((endpoint) => endpoint.available)
    const panic = known.length > 0 && available.length / known.length < panicBelow
    this.#among = panic ? known : available
    this.#zoned = this.#apartByZone(members)
    if (panic === this.#panic) return
    this.#panic = panic
    runtime.telemetry.log(
      panic ? 'warn' : 'info',
      panic
        ? 'panic: too few endpoints are well, so all of them are used'
        : 'no more panic: enough endpoints are well',
      { 'banyan.service': service, available: available.length, endpoints: known.length },
    )
  }

  resolutions(): Record<string, ResolutionState> {
    return Object.fromEntries(
      this.#entries.flatMap(({ spec, resolution }) => (resolution ? [[spec.url, resolution.state()]] : [])),
    )
  }

  close(): void {
    this.#followed?.close()
    this.#endOutgoing()
    for (const { resolution } of this.#entries) resolution?.close()
    for (const endpoint of this.#all) endpoint.close()
  }

  #resolutionOf({ url, resolve }: EndpointSpec): Resolution | undefined {
    if (!resolve || isIP(parseEndpoint(url).host) !== 0) return undefined
    const { service, resolver, runtime } = this.#options
    const options = resolve === true ? {} : resolve
    return new Resolution(parseEndpoint(url).host, options, { service, resolver, runtime }, () => {
      this.#reconcile()
      this.start()
    })
  }

  #follow(): void {
    if (!this.#query || this.#followed) return
    const followed = this.#options.source!.follow(this.#query, () => {
      if (this.#followed !== followed) return
      if (followed.endpoints) this.#endOutgoing()
      this.#reconcile()
      this.start()
    })
    this.#followed = followed
    if (!followed.endpoints) return
    this.#endOutgoing()
    this.#reconcile()
  }

  #endOutgoing(): void {
    this.#outgoing?.close()
    this.#outgoing = undefined
  }

  /** What there should be; those of a group are told apart by number. */
  #wanted(): { group: string | undefined; places: Omit<Place, 'name'>[] }[] {
    const found = this.#followed?.endpoints ?? this.#outgoing?.endpoints ?? []
    if (found.length > 0) {
      const places = found.map(({ url, weight, zone }) => ({ url, address: undefined, weight, zone }))
      return [{ group: this.#query?.service ?? '', places }]
    }
    return this.#entries.map(({ spec, resolution }) => {
      const { url, weight = 1, zone } = spec
      if (!resolution || resolution.addresses.length === 0)
        return { group: undefined, places: [{ url, address: undefined, weight, zone }] }
      return { group: url, places: resolution.addresses.map((address) => ({ url, address, weight, zone })) }
    })
  }

  /** Makes what should be there of what is there. */
  #reconcile(): void {
    const before = this.#members
    const after = new Map<string, Member>()
    const fresh: Endpoint[] = []
    for (const { group, places } of this.#wanted()) {
      const slots = new Slots(places.map((place) => before.get(identityOf(place))?.slot))
      for (const place of places) {
        const key = identityOf(place)
        let member = before.get(key)
        if (member) {
          member.endpoint.weight = place.weight
          member.endpoint.zone = place.zone
        } else {
          const slot = group === undefined ? undefined : slots.next()
          const name = group === undefined ? place.url : `${group} #${slot!}`
          member = { slot, endpoint: this.#options.make({ ...place, name }) }
          // The first addresses of a name stand for the endpoint that the name itself was.
          if (!before.has(`${place.url} `)) fresh.push(member.endpoint)
        }
        after.set(key, member)
      }
    }
    // Beside others that run, not where all are new.
    if (fresh.length < after.size) for (const endpoint of fresh) endpoint.startSlowly()
    this.#members = after
    this.#all = Array.from(after.values(), ({ endpoint }) => endpoint)
    for (const [key, { endpoint }] of before) {
      if (after.has(key)) continue
      endpoint.drain()
      this.#options.forget(endpoint)
    }
    this.#balancer.use?.(this.#all)
    this.refresh()
  }

  #apartByZone(members: readonly Endpoint[]): ByZone | undefined {
    const { zone, zones } = this.#options
    // A key belongs to its endpoint, wherever that is.
    if (zone === undefined || zones === false || this.#balancer.keyed) return undefined
    const own = this.#among.filter((endpoint) => endpoint.zone === zone)
    const others = this.#among.filter((endpoint) => endpoint.zone !== zone)
    if (own.length === 0 || others.length === 0) return undefined
    const ownShare = ownZoneShare(
      {
        own: weightOf(own),
        available: weightOf(this.#among),
        total: weightOf(members),
        zones: new Set(members.map((endpoint) => endpoint.zone)).size,
      },
      zones,
    )
    return { own, others, ownShare }
  }
}

/** Numbers for the addresses of one name, the lowest free first. */
class Slots {
  readonly #taken: Set<number | undefined>
  #last = 0

  constructor(taken: readonly (number | undefined)[]) {
    this.#taken = new Set(taken)
  }

  next(): number {
    do this.#last++
    while (this.#taken.has(this.#last))
    return this.#last
  }
}

/** What makes a place another place. */
function identityOf({ url, address = '' }: Pick<Place, 'url' | 'address'>): string {
  return `${url} ${address}`
}

/** What must be the same for an entry to be the same. */
function keyOf({ url, resolve }: EndpointSpec): string {
  return JSON.stringify([url, resolve ?? false])
}

function weightOf(endpoints: readonly Endpoint[]): number {
  return endpoints.reduce((sum, { weight }) => sum + weight, 0)
}
