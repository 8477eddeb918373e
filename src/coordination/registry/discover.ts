import type { Timer } from '../../core/clock.js'
import { duration, type Duration } from '../../core/duration.js'
import { Observers, type Unsubscribe } from '../../core/observers.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import type { Coordinator } from '../coordinator.js'
import { openView, type View, type ViewChange } from '../view/view.js'
import type { Outage } from '../view/pulse.js'
import { decodeInstance, isHealthy, servicePrefix, type Instance } from './instance.js'
import { Picker } from './picker.js'
import { Roster, type RosterChange } from './roster.js'

/** Which instances of a service are looked for. */
export interface DiscoverOptions {
  /** Only those that have it, or all of these. Default: any. */
  tag?: string | readonly string[]
  /** Where the caller is: `pick` prefers instances there. Default none. */
  zone?: string
  /** Only those that may be asked: not critical, and not draining. Default true. */
  healthy?: boolean
  /** Only those for which this returns true. Default all. */
  where?: (instance: Instance) => boolean
  /**
   * When not to believe that instances are gone that have not said so; see {@link PanicOptions}. `false` believes the
   * registry at once. Default on.
   */
  panic?: PanicOptions | false
}

/**
 * Leases expire for everybody when the engine was away for long, or its clock has jumped: the registry is empty then, and the
 * instances are well. So instances that vanish (go without having been draining) are kept, as `doubted`, in two cases: while
 * the engine is away and for `keep` after that, whoever they are; and if several vanish together and less than `below` of all
 * would be left. They are kept until they come back, or `keep` is over.
 */
export interface PanicOptions {
  /** See above. Default 0.5; 0 for only after the engine was away. */
  below?: number
  /** How long those are kept that do not come back, in ms or as text. Default `'30s'`. */
  keep?: Duration
}

const panicTable: OptionTable<PanicOptions> = {
  below: {
    kind: 'number',
    min: 0,
    max: 1,
    doc: 'Share that must be left for the others to be believed gone.',
  },
  keep: { kind: 'duration', doc: 'How long those are kept that do not come back. Default 30s.' },
}

/** What `discover` accepts. */
export const discoverOptions: OptionTable<DiscoverOptions> = {
  tag: {
    kind: 'either',
    of: [
      { kind: 'string', doc: 'A tag.' },
      { kind: 'list', of: { kind: 'string', doc: 'A tag.' }, doc: 'All of these.' },
    ],
    doc: 'Only instances that have this tag, or all of these.',
  },
  zone: { kind: 'string', doc: 'Where the caller is.' },
  healthy: { kind: 'boolean', doc: 'Only instances that may be asked. Default true.' },
  where: { kind: 'code', type: 'function', doc: 'only those for which it returns true' },
  panic: {
    kind: 'either',
    of: [
      { kind: 'choice', values: [false], doc: 'Believe the registry at once.' },
      { kind: 'group', options: panicTable, doc: 'When not to.' },
    ],
    doc: 'When not to believe that instances are gone that have not said so; `false` for never.',
  },
}

/**
 * The instances of a service as this process knows them: a local copy that follows the registry, and outlives its absence.
 * Every question is answered from memory.
 */
export interface Discovery extends AsyncDisposable {
  readonly service: string
  /** Resolves when the registry was read once; rejects with `BANYAN_COORDINATOR_CLOSED` if that will never be. */
  readonly ready: Promise<void>
  /** Those that were asked for; the same array until something changes. */
  instances(): readonly Instance[]
  /** One of these by its id. */
  get(id: string): Instance | undefined
  /** One of these by chance: in the own zone as far as that can bear it, by weight. Undefined if there is none. */
  pick(): Instance | undefined
  /** How many instances are kept that the registry has no more. */
  readonly doubted: number
  /** Why it may be behind, and since when; undefined if it is as new as the watch. */
  readonly stale: Outage | undefined
  /**
   * - `change`: other instances, or the same in another state
   * - `stale`: the registry cannot be reached; what was known stays
   * - `fresh`: it was read again after that
   */
  on<Name extends keyof DiscoveryEvents>(
    name: Name,
    listener: (event: DiscoveryEvents[Name]) => void,
  ): Unsubscribe
  /**
   * What {@link instances} gives, now and after each change, until the signal aborts or it is closed. Who is slow gets the
   * last state and not each one.
   */
  watch(options?: { signal?: AbortSignal }): AsyncIterable<readonly Instance[]>
  close(): Promise<void>
}

/** What a discovery tells. */
export interface DiscoveryEvents extends Record<string, unknown> {
  change: InstancesChange
  stale: Outage
  fresh: undefined
}

/** What has become different among the instances that were asked for. */
export interface InstancesChange {
  /** All that there are now. */
  readonly instances: readonly Instance[]
  readonly added: readonly Instance[]
  readonly removed: readonly Instance[]
  readonly updated: readonly Instance[]
}

/**
 * Finds the instances of a service and follows them. Returns at once, also while the engine is away: `ready` tells when they
 * are known.
 *
 * @throws `BANYAN_INVALID_OPTIONS`, `BANYAN_INVALID_KEY`
 */
export function discover(
  coordinator: Coordinator,
  service: string,
  options: DiscoverOptions = {},
): Discovery {
  checkOptions('discover', discoverOptions, options)
  return new FollowedService(coordinator, service, options)
}

class FollowedService implements Discovery {
  readonly service: string
  readonly #coordinator: Coordinator
  readonly #zone: string | undefined
  readonly #isWanted: (instance: Instance) => boolean
  readonly #view: View
  readonly #roster: Roster
  readonly #observers = new Observers<DiscoveryEvents>()
  readonly #closing = new AbortController()
  readonly #hideGauges: (() => void)[]
  #instances: readonly Instance[] | undefined
  #picker: Picker | undefined
  #timer: Timer | undefined

  constructor(coordinator: Coordinator, service: string, options: DiscoverOptions) {
    const { panic = {}, healthy = true, where, zone } = options
    const tags = [options.tag ?? []].flat()
    this.service = service
    this.#coordinator = coordinator
    this.#zone = zone
    this.#isWanted = (instance) =>
      (!healthy || isHealthy(instance)) &&
      tags.every((tag) => instance.tags.includes(tag)) &&
      (!where || where(instance))
    const { below = 0.5, keep = '30s' } = panic || {}
    this.#roster = new Roster(panic === false ? undefined : { below, keep: duration(keep, 'panic.keep') })
    this.#view = openView(coordinator, servicePrefix(service))
    if (this.#view.stale) this.#roster.away(this.#now)
    this.#view.on('stale', (outage) => {
      this.#roster.away(this.#now)
      this.#wakeLater()
      this.#observers.emit('stale', outage)
    })
    this.#view.on('change', ({ changes }) => this.#onView(changes))
    this.#view.on('fresh', () => {
      this.#roster.back(this.#now)
      this.#wakeLater()
      this.#observers.emit('fresh', undefined)
    })
    this.#hideGauges = this.#showGauges()
  }

  get ready(): Promise<void> {
    return this.#view.ready
  }

  get stale(): Outage | undefined {
    return this.#view.stale
  }

  get doubted(): number {
    return this.#roster.doubted
  }

  instances(): readonly Instance[] {
    this.#instances ??= [...this.#roster.instances.values()].filter(this.#isWanted)
    return this.#instances
  }

  get(id: string): Instance | undefined {
    const instance = this.#roster.instances.get(id)
    return instance && this.#isWanted(instance) ? instance : undefined
  }

  pick(): Instance | undefined {
    this.#picker ??= new Picker(this.instances(), this.#roster.instances.values(), this.#zone)
    return this.#picker.pick(this.#coordinator.runtime.random)
  }

  on<Name extends keyof DiscoveryEvents>(
    name: Name,
    listener: (event: DiscoveryEvents[Name]) => void,
  ): Unsubscribe {
    return this.#observers.on(name, listener)
  }

  async *watch({ signal }: { signal?: AbortSignal } = {}): AsyncGenerator<readonly Instance[], void> {
    const ending = signal ? AbortSignal.any([signal, this.#closing.signal]) : this.#closing.signal
    let wake = (): void => undefined
    const unsubscribe = this.on('change', () => wake())
    const onAbort = (): void => wake()
    ending.addEventListener('abort', onAbort)
    try {
      const aborted = new Promise<void>((resolve) => (wake = resolve))
      if (!ending.aborted) await Promise.race([this.ready.catch(() => undefined), aborted])
      let given: readonly Instance[] | undefined
      while (!ending.aborted) {
        const instances = this.instances()
        if (instances === given) await new Promise<void>((resolve) => (wake = resolve))
        else yield (given = instances)
      }
    } finally {
      unsubscribe()
      ending.removeEventListener('abort', onAbort)
    }
  }

  close(): Promise<void> {
    this.#timer?.cancel()
    this.#closing.abort()
    for (const hide of this.#hideGauges) hide()
    return this.#view.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  get #now(): number {
    return this.#coordinator.runtime.clock.now()
  }

  #onView(changes: readonly ViewChange[]): void {
    const present: Instance[] = []
    const gone: string[] = []
    for (const change of changes) {
      const instance = change.kind === 'put' ? decodeInstance(change.entry) : undefined
      if (instance) present.push(instance)
      else {
        const before = change.before && decodeInstance(change.before)
        if (before) gone.push(before.id)
      }
    }
    this.#tell(this.#roster.apply(present, gone, this.#now))
    this.#wakeLater()
  }

  #tell(changes: readonly RosterChange[]): void {
    if (changes.length === 0) return
    this.#instances = undefined
    this.#picker = undefined
    if (!this.#observers.has('change')) return
    const added: Instance[] = []
    const updated: Instance[] = []
    const removed: Instance[] = []
    for (const { before, after } of changes) {
      const was = before !== undefined && this.#isWanted(before)
      if (after && this.#isWanted(after)) (was ? updated : added).push(after)
      else if (was) removed.push(before)
    }
    if (added.length + updated.length + removed.length === 0) return
    const now = (): readonly Instance[] => this.instances()
    this.#observers.emit('change', {
      added,
      updated,
      removed,
      // Of thousands, most changes are of one.
      get instances() {
        return now()
      },
    })
  }

  #wakeLater(): void {
    const { clock } = this.#coordinator.runtime
    this.#timer?.cancel()
    const at = this.#roster.nextAt
    if (at === Infinity || this.#closing.signal.aborted) return
    this.#timer = clock.schedule(at, () => {
      this.#tell(this.#roster.settle(clock.now()))
      this.#wakeLater()
    })
  }

  #showGauges(): (() => void)[] {
    const { telemetry } = this.#coordinator.runtime
    const attributes = { 'banyan.service': this.service }
    const unit = '{instance}'
    return [
      telemetry.gauge(
        'banyan.registry.instances',
        {
          description: 'Instances of a service that may be asked, as this process knows them.',
          unit,
          attributes,
        },
        () => this.instances().length,
      ),
      telemetry.gauge(
        'banyan.registry.doubted',
        { description: 'Instances that are kept though the registry has them no more.', unit, attributes },
        () => this.doubted,
      ),
      telemetry.gauge(
        'banyan.registry.stale',
        { description: '1 while the registry cannot be reached.', attributes },
        () => (this.stale ? 1 : 0),
      ),
    ]
  }
}
