import { duration, type Duration } from '../../core/duration.js'
import { checkOptions, type OptionKinds } from '../../core/options.js'
import type { Clock } from '../../core/clock.js'
import { withoutStack } from '../../core/errors.js'
import type { Random } from '../../core/random.js'
import type {
  ListOptions,
  ResourceApi,
  ResourceEvent,
  WatchResourcesOptions,
} from '../../coordination/resources/api.js'
import { qualifiedPlural, type ResourceDefinition } from '../../coordination/resources/define.js'
import { expired, ResourceError } from '../../coordination/resources/error.js'
import type { Resource, ResourceList } from '../../coordination/resources/object.js'
import { FaultyRequests } from '../faulty-requests.js'
import type { Choices } from '../seed.js'

/** What {@link faultyResources} does. Probabilities are from 0 to 1, and of each request. */
export interface ResourceFaults {
  /** The longest time a request is on its way, and its answer as well; default `'20ms'`. */
  delay?: Duration
  /** A write is refused with `BANYAN_COORDINATOR_UNAVAILABLE`, before anything was done; default 0.05. */
  refuse?: number
  /**
   * The answer to a write is lost: it was done, or was not, or is done later, or now and again later; the caller gets
   * `BANYAN_OUTCOME_UNKNOWN`; default 0.05.
   */
  loseAnswer?: number
  /** A read fails with `BANYAN_COORDINATOR_UNAVAILABLE`; default 0.05. */
  failRead?: number
  /** From this request on nothing comes through for a while; default 0.01. */
  cut?: number
  /** The longest such while; default `'5s'`. */
  cutTime?: Duration
  /** An update is refused as if somebody else had been faster; default 0.05. */
  conflict?: number
  /** The longest time news of a watch are late: caches are as old as that; default `'500ms'`. */
  lateNews?: Duration
  /** A list of `resourceVersion: '0'` is an old one, as it is of a server that is behind; default 0.2. */
  oldList?: number
  /** A watch ends before an event, half of the time with an error; default 0.05. */
  dropWatch?: number
  /** A watch from a version is refused, or ended before an event: it is too old (410), list again; default 0.03. */
  expire?: number
}

const DEFAULTS = {
  delay: '20ms',
  refuse: 0.05,
  loseAnswer: 0.05,
  failRead: 0.05,
  cut: 0.01,
  cutTime: '5s',
  conflict: 0.05,
  lateNews: '500ms',
  oldList: 0.2,
  dropWatch: 0.05,
  expire: 0.03,
} satisfies Required<ResourceFaults>

const TIMES: readonly string[] = ['delay', 'cutTime', 'lateNews']

/** What each fault may be. */
export const RESOURCE_FAULTS: OptionKinds = Object.fromEntries(
  Object.keys(DEFAULTS).map((name) => [
    name,
    TIMES.includes(name)
      ? { kind: 'duration', min: 0, doc: 'The longest time.' }
      : { kind: 'number', min: 0, max: 1, doc: 'A probability.' },
  ]),
)

/** Those that no other engine has. */
export const OF_RESOURCES: readonly string[] = [
  'cut',
  'cutTime',
  'conflict',
  'lateNews',
  'oldList',
  'dropWatch',
  'expire',
]

/** Those of one run of a simulation: some are left out, others come more often. */
export function mixedFaults(faults: ResourceFaults, random: Choices): ResourceFaults {
  const all = Object.entries({ ...DEFAULTS, ...faults }).filter(([name]) => OF_RESOURCES.includes(name))
  return Object.fromEntries(
    all.map(([name, given]) => [
      name,
      typeof given === 'number' && !TIMES.includes(name)
        ? Math.min(1, given * random.pick([0, 1, 1, 3]))
        : given,
    ]),
  )
}

/** Options of {@link faultyResources}. */
export interface FaultyResourcesOptions {
  /** Where chance comes from: a seeded source makes it the same each time. */
  random: Random
  /** Where time comes from. */
  clock: Clock
  /** What goes wrong, how often; see {@link ResourceFaults} for the defaults. */
  faults?: ResourceFaults
  /** Whether anything goes wrong now; default always. */
  active?: () => boolean
  /** Told what happens, in a few words. */
  note?: (text: string) => void
}

/**
 * Resources that fail as those of a server over a network do: slow and lost answers, writes that are done although their writer was
 * told nothing, conflicts, watches that are late, end, or cannot go on, lists of a server that is behind. No law of `ResourceApi` is
 * broken: what comes through it is what a controller must live with.
 *
 * Closing it leaves the API open.
 *
 * @throws `BANYAN_INVALID_OPTIONS`
 */
export function faultyResources(api: ResourceApi, options: FaultyResourcesOptions): ResourceApi {
  checkOptions<object>('faultyResources', RESOURCE_FAULTS, options.faults ?? {})
  const rates = { ...DEFAULTS, ...options.faults } as typeof DEFAULTS
  const times = { delay: duration(rates.delay), cutTime: duration(rates.cutTime) }
  return new FaultyResources(api, rates, new FaultyRequests({ ...rates, ...times }, options))
}

class FaultyResources implements ResourceApi {
  readonly #api: ResourceApi
  readonly #rates: typeof DEFAULTS
  readonly #faults: FaultyRequests
  readonly #lists = new Map<string, ResourceList>()

  constructor(api: ResourceApi, rates: typeof DEFAULTS, faults: FaultyRequests) {
    this.#api = api
    this.#rates = rates
    this.#faults = faults
  }

  readonly get: ResourceApi['get'] = (kind, name) =>
    this.#faults.ask(`get ${said(kind, name)}`, () => this.#api.get(kind, name))

  list<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    options: ListOptions = {},
  ): Promise<ResourceList<Resource<Spec, Status>>> {
    return this.#faults.ask(`list ${kind.plural}`, async () => {
      if (options.resourceVersion !== '0') return this.#api.list(kind, options)
      const id = JSON.stringify([qualifiedPlural(kind), options])
      const old = this.#lists.get(id)
      const isOld = old !== undefined && this.#faults.happens(this.#rates.oldList)
      const list = isOld ? old : await this.#api.list(kind, options)
      this.#lists.set(id, list)
      return list as ResourceList<Resource<Spec, Status>>
    })
  }

  readonly create: ResourceApi['create'] = (kind, draft, options) =>
    this.#faults.change(`create ${said(kind, draft.metadata)}`, () => this.#api.create(kind, draft, options))

  readonly update: ResourceApi['update'] = (kind, draft, options) =>
    this.#faults.change(`update ${said(kind, draft.metadata)}`, () => {
      this.#conflict(kind, draft.metadata)
      return this.#api.update(kind, draft, options)
    })

  readonly updateStatus: ResourceApi['updateStatus'] = (kind, draft, options) =>
    this.#faults.change(`update the status of ${said(kind, draft.metadata)}`, () => {
      this.#conflict(kind, draft.metadata)
      return this.#api.updateStatus(kind, draft, options)
    })

  readonly patch: ResourceApi['patch'] = (kind, name, patch, options) =>
    this.#faults.change(`${patch.type} ${said(kind, name)}`, () =>
      this.#api.patch(kind, name, patch, options),
    )

  readonly getScale: ResourceApi['getScale'] = (kind, name) =>
    this.#faults.ask(`get the scale of ${said(kind, name)}`, () => this.#api.getScale(kind, name))

  readonly updateScale: ResourceApi['updateScale'] = (kind, scale, options) =>
    this.#faults.change(`scale ${said(kind, scale.metadata)}`, () => {
      if (scale.metadata.resourceVersion !== undefined) this.#conflict(kind, scale.metadata)
      return this.#api.updateScale(kind, scale, options)
    })

  readonly patchScale: ResourceApi['patchScale'] = (kind, name, patch, options) =>
    this.#faults.change(`${patch.type} the scale of ${said(kind, name)}`, () =>
      this.#api.patchScale(kind, name, patch, options),
    )

  readonly delete: ResourceApi['delete'] = (kind, name, options) =>
    this.#faults.change(`delete ${said(kind, name)}`, () => this.#api.delete(kind, name, options))

  readonly deleteCollection: ResourceApi['deleteCollection'] = (kind, options) =>
    this.#faults.change(`delete ${kind.plural}`, () => this.#api.deleteCollection(kind, options))

  readonly watch = ((kind: ResourceDefinition, options: WatchResourcesOptions = {}) =>
    this.#watch(kind, options)) as ResourceApi['watch']

  close(): Promise<void> {
    return Promise.resolve()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async *#watch(
    kind: ResourceDefinition,
    options: WatchResourcesOptions,
  ): AsyncGenerator<ResourceEvent, void, undefined> {
    const { dropWatch, expire, lateNews } = this.#rates
    const what = `watch ${kind.plural}`
    const { signal, resourceVersion = '0' } = options
    const isOver = (): boolean => signal?.aborted === true
    await this.#faults.ask(what, () => undefined)
    // What it is to begin with is always there.
    if (resourceVersion !== '0') this.#expire(expire, resourceVersion)
    for await (const event of this.#api.watch(kind, options)) {
      await this.#faults.arrives(duration(lateNews))
      if (isOver()) return
      if (this.#faults.happens(dropWatch)) {
        const error = this.#faults.lost('BANYAN_COORDINATOR_UNAVAILABLE', `${what} ends`)
        if (this.#faults.random.chance(0.5)) throw error
        return
      }
      this.#expire(expire, event.object.metadata.resourceVersion)
      yield event
    }
  }

  #expire(probability: number, resourceVersion: string): void {
    if (this.#faults.happens(probability))
      throw withoutStack(() => expired(resourceVersion, Number(resourceVersion) + 1))
  }

  #conflict(kind: ResourceDefinition, name: { name?: string }): void {
    if (!this.#faults.happens(this.#rates.conflict)) return
    const message = `Operation cannot be fulfilled on ${said(kind, name)}: the object has been modified; please apply your changes to the latest version and try again`
    throw withoutStack(() => new ResourceError('BANYAN_RESOURCE_CONFLICT', message))
  }
}

function said(kind: ResourceDefinition, { name }: { name?: string }): string {
  return `${kind.plural} ${JSON.stringify(name ?? '')}`
}
