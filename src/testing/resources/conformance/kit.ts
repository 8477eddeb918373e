import assert from 'node:assert/strict'
import { ResourceError, type ResourceErrorCode } from '../../../coordination/resources/error.js'
import type {
  ListOptions,
  ResourceApi,
  ResourceEvent,
  WatchResourcesOptions,
} from '../../../coordination/resources/api.js'
import type { ResourceDefinition } from '../../../coordination/resources/define.js'
import type { Resource, ResourceDraft } from '../../../coordination/resources/object.js'
import { soon } from '../../conformance/kit.js'
import { Promotion, type PromotionSpec, type PromotionStatus } from './kinds.js'

export type PromotionDraft = ResourceDraft<PromotionSpec, PromotionStatus>

/** A promotion that is right. */
export function draft(
  name: string,
  metadata: PromotionDraft['metadata'] = {},
  spec: Partial<PromotionSpec> = {},
): PromotionDraft {
  return { metadata: { name, ...metadata }, spec: { discount: 10, ...spec } }
}

/** The same with other metadata. */
export function relabelled<Item extends Resource<PromotionSpec, PromotionStatus>>(
  resource: Item,
  metadata: Item['metadata'] | Partial<Item['metadata']>,
): Item {
  return { ...resource, metadata: { ...resource.metadata, ...metadata } }
}

/** Of a version that is read, as the number it must be. */
export function versionOf({ metadata }: Pick<Resource, 'metadata'>): number {
  assert.match(metadata.resourceVersion, /^[1-9]\d*$/, 'a resourceVersion is a decimal number')
  return Number(metadata.resourceVersion)
}

/** A resource without what is only about who has written it. */
export function unmanaged(resource: Resource): Resource {
  const metadata = { ...resource.metadata }
  Reflect.deleteProperty(metadata, 'managedFields')
  return { ...resource, metadata }
}

/** What a refusal must say. */
export interface Refusal {
  /** Missing where that does not say which. */
  readonly code?: ResourceErrorCode
  readonly reason: string
  readonly status: number
  /** `REASON FIELD`, in no order. */
  readonly causes?: readonly string[]
  readonly details?: { readonly name?: string; readonly group?: string; readonly kind?: string }
  readonly message?: string | RegExp
}

const ANSWER = (code: ResourceErrorCode, reason: string, status: number) => ({
  code,
  reason,
  status,
})
export const NOT_FOUND = ANSWER('BANYAN_RESOURCE_NOT_FOUND', 'NotFound', 404)
export const EXISTS = ANSWER('BANYAN_RESOURCE_EXISTS', 'AlreadyExists', 409)
export const CONFLICT = ANSWER('BANYAN_RESOURCE_CONFLICT', 'Conflict', 409)
export const INVALID = ANSWER('BANYAN_RESOURCE_INVALID', 'Invalid', 422)
export const BAD_REQUEST = ANSWER('BANYAN_RESOURCE_BAD_REQUEST', 'BadRequest', 400)
export const EXPIRED = ANSWER('BANYAN_RESOURCE_EXPIRED', 'Expired', 410)
export const AHEAD = ANSWER('BANYAN_RESOURCE_VERSION_AHEAD', 'Timeout', 504)
export const TOO_LARGE = ANSWER('BANYAN_RESOURCE_TOO_LARGE', 'RequestEntityTooLarge', 413)

/** Fails unless it is refused so, or in one of several ways. */
export async function refused(
  result: Promise<unknown>,
  refusals: Refusal | readonly Refusal[],
  what: string,
): Promise<void> {
  const all = [refusals].flat()
  const codes = all.map(({ code, reason }) => code ?? reason).join(' or ')
  const error = await soon(
    result.then(
      (value) => assert.fail(`${what}: expected ${codes}, got ${JSON.stringify(value)}`),
      (reason: unknown) => reason,
    ),
    what,
  )
  if (error instanceof assert.AssertionError) throw error
  assert.ok(error instanceof ResourceError, `${what}: expected ${codes}, got ${String(error)}`)
  const { details, message } = error
  const refusal = all.find(({ status }) => status === error.status) ?? all[0]!
  const { reason, status } = refusal
  if (refusal.code) assert.equal(error.code, refusal.code, `${what}: ${message}`)
  assert.deepEqual({ reason: error.reason, status: error.status }, { reason, status }, what)
  if (refusal.causes) {
    // A Kubernetes tells some of it twice; what is of no field says that something else was not looked at.
    const causes = (details.causes ?? [])
      .filter(({ field }) => field !== '<nil>')
      .map((cause) => `${cause.reason} ${cause.field}`)
    const told = [...new Set(causes)]
    assert.deepEqual(told.sort(), [...refusal.causes].sort(), `${what}: everything that is wrong`)
  }
  for (const [name, value] of Object.entries(refusal.details ?? {}))
    assert.equal(details[name as 'name'], value, `${what}: details.${name}`)
  if (typeof refusal.message === 'string') assert.equal(message, refusal.message, what)
  else if (refusal.message) assert.match(message, refusal.message, what)
}

/** The version of all there is now: who is to watch from a version must have seen it. */
export async function now(api: ResourceApi): Promise<string> {
  return (await api.list(Promotion)).metadata.resourceVersion
}

/** Names of what a list has, in its order. */
export async function listed(
  api: ResourceApi,
  options: ListOptions = {},
  kind: ResourceDefinition = Promotion,
): Promise<string[]> {
  return names((await api.list(kind, options)).items)
}

export function names(items: readonly Resource[]): string[] {
  return items.map(({ metadata }) => metadata.name)
}

/** A watch, event by event. */
export class Watching {
  readonly #ending = new AbortController()
  readonly #events: AsyncIterator<ResourceEvent>

  constructor(api: ResourceApi, options: WatchResourcesOptions = {}, kind: ResourceDefinition = Promotion) {
    this.#events = api.watch(kind, { signal: this.#ending.signal, ...options })[Symbol.asyncIterator]()
  }

  /** The next event, or nothing if it has ended. */
  async next(what: string): Promise<ResourceEvent | undefined> {
    const next = await soon(this.#events.next(), what)
    return next.done === true ? undefined : next.value
  }

  /** The next so many events, in short: `ADDED a`. Bookmarks may come at any time. */
  async take(count: number, what: string): Promise<string[]> {
    const told: string[] = []
    while (told.length < count) {
      const event = await this.next(`${what} (told until now: ${told.join(', ') || 'nothing'})`)
      if (!event) break
      if (event.type !== 'BOOKMARK') told.push(`${event.type} ${event.object.metadata.name}`)
    }
    return told
  }

  /** Ends it, as one does who has seen enough. */
  async end(): Promise<void> {
    this.#ending.abort()
    await this.#events.return?.()
  }
}
