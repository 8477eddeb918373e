import type { Timer } from '../../core/clock.js'
import { formatDuration } from '../../core/duration.js'
import type { Coordinator, Entry } from '../coordinator.js'
import { elapsedSince, moment, type Moment } from '../lease-clock.js'
import type { Fleet } from './fleet.js'
import type { Settings } from './options.js'
import { recordIn, recordKey, valueOf, type LeaderRecord } from './record.js'

/** The part of the ttl for which the last word of the coordinator counts: an operator waits for all of it. */
const BELIEVED = 1 / 2
/** The part after which it is asked again. */
const ASKED = 1 / 6

/**
 * What this router believes the coordinator to say of who leads. It believes it for half of the ttl after it has *asked*; an
 * operator who has written that nobody shall write waits for all of it, and then nobody does, as long as no clock runs at less
 * than half the speed of another.
 */
export class Belief<Db> {
  readonly #coordinator: Coordinator
  readonly #fleet: Fleet<Db>
  readonly #settings: Settings
  readonly #key: string
  readonly #stop: () => void
  #record: LeaderRecord | undefined
  /** What stood there, as text. */
  #known: string | undefined
  #heard: Moment | undefined
  #problem = 'the coordinator has not answered yet'
  #timer: Timer | undefined
  #asking = false
  #again = false
  #closed = false
  /** Who was judged to lead when it was asked last. */
  #judged = ''

  constructor(coordinator: Coordinator, fleet: Fleet<Db>, settings: Settings) {
    this.#coordinator = coordinator
    this.#fleet = fleet
    this.#settings = settings
    this.#key = recordKey(settings.name)
    fleet.obey((leader, timeline) => this.#forbids(leader, timeline))
    this.#stop = fleet.onJudged(({ leader, timeline }) => {
      const judged = `${leader} ${timeline}`
      if (judged === this.#judged) return
      this.#judged = judged
      this.hasten()
    })
    this.hasten()
  }

  /** Asks now, or once more when what is under way has ended. */
  hasten(): void {
    if (this.#asking) this.#again = true
    else void this.#run()
  }

  close(): void {
    this.#closed = true
    this.#stop()
    this.#timer?.cancel()
  }

  /** Why nobody may write to that leader; undefined if one may. */
  #forbids(leader: string, timeline: number): string | undefined {
    const { ttl, runtime } = this.#settings
    const record = this.#record
    const isBelieved = this.#heard && elapsedSince(this.#heard, runtime.clock) < ttl * BELIEVED
    if (!isBelieved) return `nobody knows whether ${leader} still leads: ${this.#problem}`
    if (!record) return 'the coordinator does not say yet who leads'
    const { name } = this.#settings
    const { cluster } = this.#fleet.judgement
    const remedy = `If that is over, promote ${leader} by force`
    if (record.cluster !== cluster)
      return `the coordinator knows ${name} as cluster ${record.cluster}, and ${leader} is of cluster ${cluster}. ${remedy}, or give these servers another \`name\``
    if (record.ttl !== ttl)
      return `other routers of these servers have the ttl ${formatDuration(record.ttl)}, and this one ${formatDuration(ttl)}. ${remedy}`
    if (record.kind === 'promoting') return `${record.to} is being promoted`
    if (record.timeline < timeline)
      return `the coordinator does not know yet that ${leader} leads: it says that ${record.node} does, on timeline ${record.timeline}`
    if (record.node !== leader || record.timeline !== timeline)
      return `the coordinator says that ${record.node} leads, on timeline ${record.timeline}. ${remedy}`
    return undefined
  }

  async #run(): Promise<void> {
    if (this.#closed) return
    this.#asking = true
    this.#again = false
    this.#timer?.cancel()
    const { telemetry } = this.#settings.runtime
    try {
      await this.#ask()
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error)
      if (problem !== this.#problem) telemetry.log('warn', `replicas ${this.#settings.name}: ${problem}`)
      this.#problem = problem
    }
    this.#asking = false
    this.#next()
  }

  #next(): void {
    if (this.#closed) return
    const { clock } = this.#settings.runtime
    if (this.#again) this.hasten()
    else this.#timer = clock.schedule(clock.now() + this.#settings.ttl * ASKED, () => void this.#run())
  }

  async #ask(): Promise<void> {
    const asked = moment(this.#settings.runtime.clock)
    const entry = await this.#coordinator.get(this.#key)
    const record = entry && recordIn(entry)
    const isNews = JSON.stringify(entry) !== this.#known
    this.#known = JSON.stringify(entry)
    this.#record = record
    this.#heard = asked
    this.#problem = 'the coordinator has not answered for a while'
    if (record) this.#fleet.tell(record)
    if (isNews) this.#fleet.reconsider()
    await this.#propose(entry, record)
  }

  /** Says who leads, where nobody has said it, or somebody else was promoted since by others. */
  async #propose(entry: Entry | undefined, record: LeaderRecord | undefined): Promise<void> {
    const { leader, timeline, cluster } = this.#fleet.judgement
    const { ttl, runtime } = this.#settings
    if (leader === undefined || cluster === undefined) return
    if (record && (record.kind === 'promoting' || record.timeline >= timeline)) return
    const next: LeaderRecord = {
      ...{ kind: 'leading', cluster, node: leader, timeline, since: runtime.clock.wall(), ttl },
      ancestors: this.#fleet.timelines.ancestors(timeline),
    }
    await this.#coordinator.put(this.#key, valueOf(next), { expected: entry?.revision ?? 'absent' })
    // Whoever was faster is read, too.
    this.#again = true
  }
}
