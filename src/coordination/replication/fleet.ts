import type { Timer } from '../../core/clock.js'
import { Observers, type Unsubscribe } from '../../core/observers.js'
import { onAbort } from '../on-abort.js'
import { judge, type Judgement } from './judge.js'
import { Monitor } from './monitor.js'
import type { Look, ReplicaNode } from './node.js'
import type { Settings } from './options.js'
import type { LeaderRecord } from './record.js'
import { Samples } from './samples.js'
import { isSameState, type ReplicasState, type ReplicaState } from './state.js'
import { Timelines } from './timelines.js'
import { showPosition, type Place } from './token.js'

/** A server that cannot be fenced is tried again after this, in ms. */
const FENCE_AGAIN_MS = 5000

/** All servers, and what is known of them together. */
export class Fleet<Db> {
  readonly monitors: ReadonlyMap<string, Monitor<Db>>
  readonly timelines = new Timelines()
  readonly samples = new Samples()
  readonly #settings: Settings
  readonly #observers = new Observers<{ change: ReplicasState; judged: Judgement }>()
  readonly #waiting = new Set<() => void>()
  /** Followers that were too far behind, and have not caught up since. */
  readonly #behind = new Set<Monitor<Db>>()
  /** What cannot be fenced, and why. */
  readonly #unfenced = new Map<Monitor<Db>, string>()
  readonly #fencing = new Set<Monitor<Db>>()
  /** Timelines whose ancestors a server has told. */
  readonly #told = new Set<number>()
  /** Who was asked for them, also if it may not tell. */
  readonly #asked = new Set<string>()
  readonly #timers = new Set<Timer>()
  /** Who leads what, the last time that it was known: samples are of that. */
  #sampled: { incarnation: string; timeline: number } | undefined
  /** What the coordinator says, and whether what that tells of timelines is known. */
  #said: LeaderRecord | undefined
  #isHeeded = true
  /** Nothing new begins: what is under way is waited for where there is an answer to come. */
  #closing = false
  #judgement: Judgement
  #state: ReplicasState
  /** Why nobody may write to the leader, if it is the coordinator that says so. */
  #forbids: (leader: string, timeline: number) => string | undefined = () => undefined

  constructor(nodes: ReadonlyMap<string, ReplicaNode<Db>>, settings: Settings) {
    this.#settings = settings
    const { clock } = settings.runtime
    const seen = (monitor: Monitor<Db>, look: Look): Promise<void> | undefined => this.#learn(monitor, look)
    this.monitors = new Map(
      Array.from(nodes, ([name, node]) => [
        name,
        new Monitor(name, node, settings, clock, seen, () => this.#judge()),
      ]),
    )
    this.#judgement = judge([], { cluster: settings.cluster, timeline: 0 })
    this.#state = this.#describe()
  }

  start(): void {
    for (const monitor of this.monitors.values()) monitor.hasten()
  }

  get judgement(): Judgement {
    return this.#judgement
  }

  get leader(): Monitor<Db> | undefined {
    const { leader } = this.#judgement
    return leader === undefined ? undefined : this.monitors.get(leader)
  }

  /** Whether each server was tried once. */
  get isComplete(): boolean {
    return [...this.monitors.values()].every(({ looks }) => looks > 0)
  }

  get state(): ReplicasState {
    return this.#describe()
  }

  on(listener: (state: ReplicasState) => void): Unsubscribe {
    return this.#observers.on('change', listener)
  }

  onJudged(listener: (judgement: Judgement) => void): Unsubscribe {
    return this.#observers.on('judged', listener)
  }

  /** Lets somebody else say, too, who may be written to; they call {@link reconsider} when they say something else. */
  obey(forbids: (leader: string, timeline: number) => string | undefined): void {
    this.#forbids = forbids
  }

  reconsider(): void {
    this.#judge()
  }

  /** The coordinator may know of a newer timeline, or of the ancestors of one. It counts as soon as it is known of which cluster we are. */
  tell(said: LeaderRecord): void {
    this.#said = said
    this.#isHeeded = false
    this.#judge()
  }

  /** Why nobody may write to that leader of that timeline any more; undefined if one may. */
  forbidden(leader: string, timeline: number): string | undefined {
    const { split, timeline: newest, problem } = this.#judgement
    if (split) return problem
    if (newest !== timeline) return `timeline ${newest} has begun elsewhere`
    return this.#forbids(leader, timeline)
  }

  /** How old a position is at most, in ms; Infinity if that is not known. */
  staleness(position: bigint): number {
    const at = this.samples.coveredBy(position)
    return at === undefined ? Infinity : this.#settings.runtime.clock.now() - at
  }

  /** How long ago the leader had what is behind a position, when it was last seen, in ms; Infinity if that is not known. */
  lag(position: bigint): number {
    const { last } = this.samples
    if (!last) return 0
    const at = this.samples.coveredBy(position)
    return at === undefined ? Infinity : last.at - at
  }

  /** Whether what a follower has is in the history of the newest timeline. */
  isOurs(timeline: number, position: bigint): boolean {
    return this.timelines.has(this.#judgement.timeline, { timeline, position })
  }

  /** Whether a place is in that history. */
  has(place: Place): boolean {
    return this.timelines.has(this.#judgement.timeline, place)
  }

  /** Why a follower takes no reads; undefined if it does. */
  unfit(monitor: Monitor<Db>): string | undefined {
    const { look, problem } = monitor
    if (problem !== undefined) return problem
    if (!look || this.#judgement.roles.get(monitor.name) !== 'follower') return 'it is no follower'
    const { timeline: newest } = this.#judgement
    const fork = look.timeline === undefined ? undefined : this.timelines.forkOf(look.timeline)
    if (fork)
      return `${fork.join(' and ')} have both led timeline ${look.timeline}, and nobody can tell which of them it follows: the next promotion tells them apart`
    if (look.timeline !== undefined && !this.isOurs(look.timeline, look.position))
      return this.timelines.shared(newest, look.timeline) === undefined
        ? `it follows timeline ${look.timeline}, and nobody tells what timeline ${newest} has of that`
        : `it has what timeline ${newest} does not have: it must be made anew, or rewound`
    if (this.#behind.has(monitor)) return 'it is too far behind'
    const isBehindLeader = look.position < (this.samples.last?.position ?? 0n)
    if (look.streaming === false && isBehindLeader) return 'it is not connected to what it follows'
    return undefined
  }

  /** Followers that take reads. */
  followers(): Monitor<Db>[] {
    return [...this.monitors.values()].filter((monitor) => this.unfit(monitor) === undefined)
  }

  /**
   * Waits until a condition holds after some look.
   *
   * @param until - on the monotonic clock
   * @param eager - who is looked at more often meanwhile
   * @returns whether it holds
   */
  wait(
    condition: () => boolean,
    until: number,
    eager: readonly Monitor<Db>[] = [],
    signal?: AbortSignal,
  ): Promise<boolean> {
    if (condition()) return Promise.resolve(true)
    const { clock } = this.#settings.runtime
    if (until <= clock.now()) return Promise.resolve(false)
    signal?.throwIfAborted()
    return new Promise((resolve, reject) => {
      const calm = eager.map((monitor) => monitor.beEager())
      const end = (): void => {
        timer.cancel()
        this.#timers.delete(timer)
        this.#waiting.delete(check)
        forget?.()
        for (const each of calm) each()
      }
      const check = (): void => {
        if (!condition()) return
        end()
        resolve(true)
      }
      const timer = clock.schedule(until, () => {
        end()
        resolve(false)
      })
      this.#timers.add(timer)
      this.#waiting.add(check)
      const forget =
        signal &&
        onAbort(signal, () => {
          end()
          reject(signal.reason as Error)
        })
    })
  }

  beClosing(): void {
    this.#closing = true
    this.#judge()
  }

  close(): void {
    for (const monitor of this.monitors.values()) monitor.close()
  }

  /** Takes in what a look tells of how timelines have come about, before it counts. */
  #learn(monitor: Monitor<Db>, look: Look): Promise<void> | undefined {
    const { timeline, incarnation } = look
    if (timeline === undefined || look.limited !== undefined) return undefined
    this.#recognize(monitor.name, look)
    const before = monitor.look
    // It was promoted under our eyes. After a new start it may have been made anew of something else meanwhile.
    if (look.role === 'leader' && before?.role === 'follower' && incarnation === before.incarnation) {
      const { timeline: parent, position } = before
      if (parent !== undefined) {
        // With another timeline between them it may have followed that, and branched off there.
        const isDirect = timeline === parent + 1 && look.recovered !== undefined
        this.timelines.learn(timeline, { timeline: parent, end: isDirect ? look.recovered : position })
      }
    }
    const question = `${monitor.name} ${incarnation} ${timeline}`
    if (timeline === 1 || this.#told.has(timeline) || this.#asked.has(question)) return undefined
    return this.#ask(monitor, timeline, question)
  }

  async #ask(monitor: Monitor<Db>, timeline: number, question: string): Promise<void> {
    const ancestors = await monitor.node.ancestors(timeline)
    this.#asked.add(question)
    if (!ancestors) return
    for (const ancestor of ancestors) this.timelines.learn(timeline, ancestor)
    this.#told.add(timeline)
  }

  #judge(): void {
    const witnesses = Array.from(this.monitors.values(), ({ name, look, away }) => ({
      node: name,
      look,
      away,
    }))
    // Whoever answers first may be of another cluster.
    if (!this.isComplete && this.#judgement.cluster === undefined) return
    this.#judgement = judge(witnesses, this.#judgement, this.#said)
    for (const { node, look } of witnesses) if (look) this.#recognize(node, look)
    this.#heed()
    this.#sample()
    for (const monitor of this.monitors.values()) {
      this.#measure(monitor)
      this.#fence(monitor)
    }
    this.#observers.emit('judged', this.#judgement)
    const state = this.#describe()
    if (!isSameState(state, this.#state)) {
      this.#state = state
      this.#observers.emit('change', state)
    }
    for (const check of [...this.#waiting]) check()
  }

  #recognize(node: string, { role, cluster, timeline }: Look): void {
    if (role !== 'leader' || timeline === undefined || cluster !== this.#judgement.cluster) return
    this.#led(timeline, node)
  }

  #led(timeline: number, node: string): void {
    if (!this.timelines.ledBy(timeline, node)) return
    this.#told.clear()
    this.#asked.clear()
  }

  /** Takes in what the coordinator tells of timelines. */
  #heed(): void {
    if (!this.#said || this.#isHeeded || this.#said.cluster !== this.#judgement.cluster) return
    this.#isHeeded = true
    const { kind, node, timeline, ancestors } = this.#said
    // A name that nobody knows here may be another one of a server that is known, or one that was promoted apart from it.
    if (node !== '' && !this.monitors.has(node)) return
    if (kind === 'leading') this.#led(timeline, node)
    for (const ancestor of ancestors) this.timelines.learn(timeline, ancestor)
  }

  #sample(): void {
    const { leader } = this
    if (!leader?.look) return
    const { timeline = 0, incarnation, position } = leader.look
    // Whoever may have been replaced does not tell what is new.
    if (this.#forbids(leader.name, timeline) !== undefined) return
    if (this.#sampled && timeline !== this.#sampled.timeline)
      this.samples.cut(this.timelines.shared(timeline, this.#sampled.timeline) ?? 0n)
    // What was not on its disk is lost.
    else if (this.#sampled && incarnation !== this.#sampled.incarnation) this.samples.cut(position)
    this.#sampled = { timeline, incarnation }
    this.samples.add(leader.seenAt, position)
  }

  #measure(monitor: Monitor<Db>): void {
    if (monitor.look?.role !== 'follower') return
    const lag = this.lag(monitor.look.position)
    const { maxLag } = this.#settings
    if (lag > maxLag) this.#behind.add(monitor)
    else if (lag <= maxLag / 2) this.#behind.delete(monitor)
  }

  /** Whoever leads an older timeline, and would write, is stopped; who follows again may write once it leads again. */
  #fence(monitor: Monitor<Db>): void {
    const { look, away, name } = monitor
    const role = this.#judgement.roles.get(name)
    const isOld = role === 'old leader' && this.leader !== undefined
    // Whoever waits for its answer would do so for as long as the network does. Reads can be done elsewhere.
    if ((isOld && away) || ((role === 'follower' || this.#closing) && monitor.silent)) monitor.node.abandon()
    if (!isOld || look?.readOnly) this.#unfenced.delete(monitor)
    if (!this.#settings.fence || away || !look || this.#fencing.has(monitor)) return
    const follows = role === 'follower' && look.timeline === this.#judgement.timeline
    if (isOld && !look.readOnly) void this.#change(monitor, () => monitor.node.fence(), 'fenced')
    else if (follows && look.readOnly && look.streaming)
      void this.#change(monitor, () => monitor.node.unfence(), 'not fenced any more, as it follows')
  }

  async #change(monitor: Monitor<Db>, change: () => Promise<unknown>, what: string): Promise<void> {
    const { clock, telemetry } = this.#settings.runtime
    this.#fencing.add(monitor)
    const about = `${monitor.name} at ${monitor.node.place}`
    try {
      await change()
      telemetry.log('warn', `${about} is ${what}`)
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error)
      if (!this.#unfenced.has(monitor)) telemetry.log('error', `${about} cannot be ${what}: ${problem}`)
      if (what === 'fenced') this.#unfenced.set(monitor, problem)
      this.#judge()
    }
    // Its next look tells what has become of it.
    const timer = clock.schedule(clock.now() + FENCE_AGAIN_MS, () => {
      this.#timers.delete(timer)
      this.#fencing.delete(monitor)
    })
    this.#timers.add(timer)
    monitor.hasten()
  }

  #describe(): ReplicasState {
    const { cluster, timeline, leader, problem } = this.#judgement
    const forbidden = leader === undefined ? problem : this.closedTo(leader)
    return {
      name: this.#settings.name,
      ...(leader !== undefined && forbidden === undefined && { leader }),
      ...(forbidden !== undefined && { problem: forbidden }),
      ...(cluster !== undefined && { cluster }),
      ...(timeline > 0 && { timeline }),
      nodes: Array.from(this.monitors.values(), (monitor) => this.#describeNode(monitor)),
    }
  }

  /** Why nobody writes to who leads; undefined if one may. */
  closedTo(leader: string): string | undefined {
    const forbidden = this.forbidden(leader, this.#judgement.timeline)
    if (forbidden !== undefined || !this.monitors.get(leader)!.look?.readOnly) return forbidden
    return `${leader} leads, and only reads: \`default_transaction_read_only\` is on, as while another one is promoted. If nobody is, and it is to write, ALTER SYSTEM RESET it`
  }

  #describeNode(monitor: Monitor<Db>): ReplicaState {
    const { name, node, look, inFlight } = monitor
    const role = this.#judgement.roles.get(name) ?? 'unknown'
    const problem = this.#problemOf(monitor, role)
    const { last } = this.samples
    const isFollower = role === 'follower' && look !== undefined
    const lag = isFollower ? this.lag(look.position) : undefined
    return {
      node: name,
      place: node.place,
      role,
      healthy: role === 'leader' ? problem === undefined : isFollower && this.unfit(monitor) === undefined,
      ...(problem !== undefined && { problem }),
      ...(look?.timeline !== undefined && { timeline: look.timeline }),
      ...(look?.received !== undefined && { received: showPosition(look.received) }),
      ...(look && { replayed: showPosition(look.position) }),
      ...(isFollower &&
        last && { lagBytes: Number(last.position > look.position ? last.position - look.position : 0n) }),
      ...(lag !== undefined && lag !== Infinity && { lagMs: Math.round(lag) }),
      ...(role === 'old leader' && { fenced: look?.readOnly === true }),
      inFlight,
    }
  }

  #problemOf(monitor: Monitor<Db>, role: ReplicaState['role']): string | undefined {
    const { problem, look, name } = monitor
    if (problem !== undefined) return problem
    switch (role) {
      case 'leader':
        return this.closedTo(name)
      case 'foreign':
        return `it belongs to cluster ${look!.cluster}`
      case 'old leader':
        return look!.readOnly
          ? 'somebody else was promoted: make it a follower'
          : `UNFENCED: somebody else was promoted, and it still accepts writes${this.#because(monitor)}`
      case 'follower':
        return this.unfit(monitor) ?? (look!.paused ? 'it was told to stand still' : look!.limited)
      case 'unknown':
        return this.#judgement.problem
    }
  }

  #because(monitor: Monitor<Db>): string {
    const why = this.#unfenced.get(monitor)
    return why === undefined ? '' : `, as it cannot be fenced: ${why}`
  }
}
