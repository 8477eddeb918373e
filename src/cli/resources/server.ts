import { BanyanError } from '../../core/errors.js'
import { suggest } from '../../core/suggest.js'
import { DEFAULT_ADMIN, RESOURCES_PATH } from '../../node/address.js'
import { fetchAdmin } from '../admin-client.js'
import { linesOf } from '../events/node-log/transport.js'
import { refusalOf, type Status } from './refusal.js'

/** A kind that is served, as discovery tells. */
export interface ServedKind {
  readonly group: string
  readonly version: string
  readonly kind: string
  /** The plural. */
  readonly name: string
  readonly singularName: string
  readonly namespaced: boolean
  readonly shortNames?: readonly string[]
  readonly categories?: readonly string[]
}

/** A resource, as it comes over the wire. */
export interface ServedObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: ServedMetadata
  readonly [section: string]: unknown
}

/** What every resource has. */
export interface ServedMetadata {
  readonly name: string
  readonly namespace?: string
  readonly uid?: string
  readonly resourceVersion?: string
  readonly generation?: number
  readonly creationTimestamp?: string
  readonly deletionTimestamp?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly finalizers?: readonly string[]
  readonly ownerReferences?: readonly { readonly kind: string; readonly name: string }[]
  readonly managedFields?: readonly FieldsOfManager[]
}

/** Who owns which fields. */
export interface FieldsOfManager {
  readonly manager: string
  readonly operation: string
  readonly subresource?: string
  readonly fieldsV1?: object
}

/** What a watch tells. */
export interface Told<Item> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR'
  readonly object: Item
}

/** What goes with a request. */
export interface Asking {
  readonly query?: Readonly<Record<string, string | undefined>>
  readonly accept?: string
  readonly signal: AbortSignal
}

/** The resources of a running node, by its Kubernetes API. */
export class ResourceServer {
  readonly #admin: string
  #kinds: Promise<readonly ServedKind[]> | undefined

  constructor(admin: string = DEFAULT_ADMIN) {
    this.#admin = admin
  }

  /** All kinds, in the order of groups. */
  kinds(signal: AbortSignal): Promise<readonly ServedKind[]> {
    return (this.#kinds ??= this.#discover(signal))
  }

  /**
   * The kinds that a name stands for: a plural, a singular, a short name, a kind, a category, each also with its group, as in
   * `promotions.shop.example`.
   *
   * @throws `BANYAN_UNKNOWN_KIND`
   */
  async kindsNamed(text: string, signal: AbortSignal): Promise<readonly ServedKind[]> {
    const kinds = await this.kinds(signal)
    const wanted = text.toLowerCase()
    const found = kinds.filter((kind) => namesOf(kind).has(wanted))
    const [first, ...others] = found
    if (first && others.length === 0) return found
    if (first)
      throw new BanyanError(
        'BANYAN_UNKNOWN_KIND',
        `${text} is ambiguous: say ${found.map(({ name, group }) => `${name}.${group}`).join(' or ')}`,
      )
    const ofCategory = kinds.filter(({ categories }) => categories?.includes(wanted))
    if (ofCategory.length > 0) return ofCategory
    const names = kinds.flatMap((kind) => [...namesOf(kind)])
    const near = suggest(wanted, names)
    const hint = near === undefined ? '`banyan get` lists what there is' : `did you mean ${near}?`
    throw new BanyanError('BANYAN_UNKNOWN_KIND', `there is no kind ${text} here; ${hint}`)
  }

  /** The one kind of a document. */
  async kindOf(apiVersion: string, kind: string, signal: AbortSignal): Promise<ServedKind> {
    const kinds = await this.kinds(signal)
    const found = kinds.find((each) => each.kind === kind && apiVersionOf(each) === apiVersion)
    if (found) return found
    const near = kinds.find((each) => each.kind === kind)
    throw new BanyanError(
      'BANYAN_UNKNOWN_KIND',
      `there is no ${kind} of ${apiVersion} here${near ? `, but of ${apiVersionOf(near)}` : '; `banyan get` lists what there is'}`,
    )
  }

  /** @throws what the server refuses, with its reason and every cause */
  async ask<Answer>(path: string, asking: Asking, init: RequestInit = {}): Promise<Answer> {
    return (await this.askFully<Answer>(path, asking, init)).body
  }

  /** The same, with the status of HTTP and what the server warns of. */
  async askFully<Answer>(
    path: string,
    { query, accept = 'application/json', signal }: Asking,
    init: RequestInit = {},
  ): Promise<{ status: number; body: Answer; warnings: readonly string[] }> {
    const headers = { ...(init.headers as Record<string, string>), Accept: accept }
    const response = await this.#fetch(path, query, { ...init, headers, signal })
    const body = (await response.json().catch(() => undefined)) as Answer | Status | undefined
    if (!response.ok || body === undefined) throw refusalOf(response.status, body as Status | undefined)
    return { status: response.status, body: body as Answer, warnings: warningsIn(response.headers) }
  }

  /** What happens, until the signal or the server ends it. */
  async *watch<Item>(
    path: string,
    { query, accept = 'application/json', signal }: Asking,
  ): AsyncGenerator<Told<Item>> {
    const headers = { Accept: accept }
    const response = await this.#fetch(path, { ...query, watch: 'true' }, { headers, signal })
    if (!response.ok)
      throw refusalOf(response.status, (await response.json().catch(() => undefined)) as Status | undefined)
    for await (const line of linesOf(response)) {
      if (line === '') continue
      const told = JSON.parse(line) as Told<Item>
      if (told.type === 'ERROR') throw refusalOf(500, told.object as Status)
      yield told
    }
  }

  async #fetch(path: string, query: Asking['query'], init: RequestInit): Promise<Response> {
    const parameters = new URLSearchParams()
    for (const [name, value] of Object.entries(query ?? {}))
      if (value !== undefined) parameters.set(name, value)
    const search = parameters.size === 0 ? '' : `?${parameters.toString()}`
    return fetchAdmin(this.#admin, `${RESOURCES_PATH}${path}${search}`, init)
  }

  async #discover(signal: AbortSignal): Promise<readonly ServedKind[]> {
    interface Groups {
      readonly groups: readonly {
        readonly name: string
        readonly preferredVersion: { readonly version: string }
      }[]
    }
    const { groups } = await this.ask<Groups>('/apis', { signal })
    const found = await Promise.all(
      groups.map(async ({ name: group, preferredVersion: { version } }) => {
        type Served = Omit<ServedKind, 'group' | 'version'>
        const { resources } = await this.ask<{ resources: readonly Served[] }>(`/apis/${group}/${version}`, {
          signal,
        })
        // Those with a slash are parts of others, such as the status.
        return resources
          .filter(({ name }) => !name.includes('/'))
          .map((each) => ({ ...each, group, version }))
      }),
    )
    return found.flat()
  }
}

/** `shop.example/v1`. */
export function apiVersionOf({ group, version }: ServedKind): string {
  return `${group}/${version}`
}

/** Where the resources of a kind are: those of a namespace, or all. */
export function pathOf(kind: ServedKind, namespace: string | undefined, ...parts: readonly string[]): string {
  const where =
    kind.namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : ''
  const rest = parts.map((part) => `/${encodeURIComponent(part)}`).join('')
  return `/apis/${apiVersionOf(kind)}${where}/${kind.name}${rest}`
}

/** `promotion.shop.example/summer`. */
export function titleOf({ singularName, group }: ServedKind, name: string): string {
  return `${singularName}.${group}/${name}`
}

function namesOf({ name, singularName, kind, shortNames = [], group, version }: ServedKind): Set<string> {
  const short = [name, singularName, kind.toLowerCase(), ...shortNames]
  return new Set(short.flatMap((each) => [each, `${each}.${group}`, `${each}.${version}.${group}`]))
}

/** `299 - "text"`, several with commas between. */
function warningsIn(headers: Headers): string[] {
  const text = headers.get('Warning') ?? ''
  return Array.from(text.matchAll(/299 \S+ "((?:[^"\\]|\\.)*)"/g), ([, said]) =>
    said!.replaceAll(/\\(.)/g, '$1'),
  )
}
