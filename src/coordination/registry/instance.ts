import { BanyanError } from '../../core/errors.js'
import type { Entry } from '../coordinator.js'
import { coordinationError } from '../errors.js'
import { KEYSPACE, nameOf, segment } from '../keyspace.js'

/** What an instance says of itself, best first. */
export const INSTANCE_STATES = ['passing', 'warning', 'critical'] as const

/** Well; well enough to be asked; not to be asked. */
export type InstanceState = (typeof INSTANCE_STATES)[number]

/** One registered instance of a service. */
export interface Instance {
  readonly service: string
  /** Its own among the instances of the service. */
  readonly id: string
  /** Where it is: what it was registered with, such as `http://10.0.0.1:4001`. */
  readonly address: string
  readonly tags: readonly string[]
  readonly zone: string | undefined
  readonly version: string | undefined
  /** Its share against the others; 0 takes nothing. */
  readonly weight: number
  readonly metadata: Readonly<Record<string, unknown>>
  readonly state: InstanceState
  /** Why it is in that state, if it says so. */
  readonly note: string | undefined
  /** It is about to go and takes nothing new. */
  readonly draining: boolean
  /** Who has registered it. */
  readonly holder: string
  /** When it was registered, in ms since the epoch. */
  readonly since: number
  /** It is in the registry no more, but that is not believed yet; see `panic` of `DiscoverOptions`. */
  readonly doubted: boolean
}

/** An instance as it is stored. */
export interface StoredInstance extends Omit<Instance, 'service' | 'id' | 'doubted'> {
  /** Which registration has written it: others under the same id have another. */
  readonly registration: string
  /** Of the lease that it is kept with, in ms. */
  readonly ttl: number
}

/** The largest stored instance, in bytes of UTF-8: everybody who looks for the service keeps all of them. */
const MAX_BYTES = 16 * 1024

/** Whether it may be asked: well enough, and not about to go. */
export function isHealthy({ state, draining }: Pick<Instance, 'state' | 'draining'>): boolean {
  return state !== 'critical' && !draining
}

/** The prefix of the keys of a service. */
export function servicePrefix(service: string): string {
  return `${KEYSPACE.services}${segment(service)}/`
}

/** The key of an instance. */
export function instanceKey(service: string, id: string): string {
  return `${servicePrefix(service)}${segment(id)}`
}

/** @throws `BANYAN_VALUE_TOO_LARGE`, `BANYAN_INVALID_OPTIONS` if its metadata cannot be JSON */
export function encodeInstance(instance: StoredInstance): string {
  const text = textIn(instance)
  const size = Buffer.byteLength(text)
  if (size > MAX_BYTES)
    throw coordinationError(
      'BANYAN_VALUE_TOO_LARGE',
      `an instance takes ${size} bytes, at most ${MAX_BYTES} are kept: everybody who looks for the service gets its ` +
        'tags and metadata',
    )
  return text
}

function textIn(instance: StoredInstance): string {
  try {
    return JSON.stringify(instance)
  } catch (error) {
    throw new BanyanError('BANYAN_INVALID_OPTIONS', `metadata must be JSON: ${String(error)}`, {
      cause: error,
    })
  }
}

/** What a key of the registry says; undefined if it is not one, or says what is no instance. */
export function decodeInstance({ key, value }: Pick<Entry, 'key' | 'value'>): Instance | undefined {
  const [service, id, ...more] = key.slice(KEYSPACE.services.length).split('/')
  const stored = decodeStored(value)
  if (!key.startsWith(KEYSPACE.services) || !service || !id || more.length > 0 || !stored) return undefined
  const { address, tags, zone, version, weight, metadata, state, note, draining, holder, since } = stored
  return {
    service: nameOf(service),
    id: nameOf(id),
    address,
    tags,
    zone,
    version,
    weight,
    metadata,
    state,
    note,
    draining,
    holder,
    since,
    doubted: false,
  }
}

/** What is stored; undefined if it is no instance. What a newer version may leave out or add does no harm. */
export function decodeStored(value: string): StoredInstance | undefined {
  let given: unknown
  try {
    given = JSON.parse(value)
  } catch {
    return undefined
  }
  if (!isObject(given) || typeof given['address'] !== 'string') return undefined
  const { address, tags, weight, metadata, state, since, ttl } = given
  return {
    address,
    tags: Array.isArray(tags) ? tags.filter((tag) => typeof tag === 'string') : [],
    zone: textOf(given['zone']),
    version: textOf(given['version']),
    weight: typeof weight === 'number' && weight >= 0 ? weight : 1,
    metadata: isObject(metadata) ? metadata : {},
    // A state that is not known here is none to send requests to.
    state: INSTANCE_STATES.find((each) => each === state) ?? 'critical',
    note: textOf(given['note']),
    draining: given['draining'] === true,
    holder: textOf(given['holder']) ?? '',
    since: typeof since === 'number' ? since : 0,
    registration: textOf(given['registration']) ?? '',
    ttl: typeof ttl === 'number' ? ttl : 0,
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
