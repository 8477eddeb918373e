import { sleep } from '../../src/core/clock.js'
import type { Random } from '../../src/core/random.js'
import {
  NodeFault,
  type Ancestor,
  type Look,
  type ReplicaNode,
  type Seen,
  type Written,
} from '../../src/coordination/replication/node.js'
import { settingsOf, type ReplicasOptions } from '../../src/coordination/replication/options.js'
import { Router } from '../../src/coordination/replication/replicas.js'
import type { VirtualClock, VirtualRuntime } from '../../src/testing/virtual-clock.js'

/** What can be done in a transaction of a scripted server. */
export interface ScriptedDb {
  has(id: string): boolean
  add(id: string): void
}

interface Entry {
  readonly timeline: number
  readonly id: string
}

/** Servers with one log each, which the test lets follow each other, stop, and take over; on virtual time. */
export class ReplicaWorld {
  readonly servers: ReadonlyMap<string, ScriptedServer>
  readonly clock: VirtualClock
  readonly random: Random
  /** Whether servers tell the histories of timelines. */
  readonly tells: boolean
  /** Where timelines have begun: each timeline's ancestors, exactly. */
  readonly histories = new Map<number, readonly Ancestor[]>([[1, []]])

  constructor(names: readonly string[], clock: VirtualClock, random: Random, tells = true) {
    this.clock = clock
    this.random = random
    this.tells = tells
    this.servers = new Map(names.map((name) => [name, new ScriptedServer(name, this)]))
    this.get(names[0]!).role = 'leader'
    for (const name of names.slice(1)) this.get(name).upstream = names[0]
  }

  get(name: string): ScriptedServer {
    return this.servers.get(name)!
  }

  /** The newest timeline that was ever begun. */
  get newest(): number {
    return Math.max(...this.histories.keys())
  }

  /** Who leads it, or did. */
  get leader(): ScriptedServer | undefined {
    return [...this.servers.values()].find(
      ({ role, timeline }) => role === 'leader' && timeline === this.newest,
    )
  }
}

/** Replicas that reach these servers. */
export function routerOf(
  servers: ReadonlyMap<string, ScriptedServer>,
  runtime: VirtualRuntime,
  options: Partial<ReplicasOptions<unknown>> = {},
): Router<ScriptedDb> {
  return new Router(servers, settingsOf({ nodes: Object.fromEntries(servers), runtime, ...options }))
}

export class ScriptedServer implements ReplicaNode<ScriptedDb> {
  readonly place: string
  role: 'leader' | 'follower' = 'follower'
  timeline = 1
  /** What it has received, or written. */
  log: Entry[] = []
  /** How much of that reads see. */
  replayed = 0
  upstream: string | undefined
  up = true
  cluster = 'c1'
  readOnly = false
  mayFence = true
  incarnation = 1
  abandoned = 0
  recovered: number | undefined
  readonly #world: ReplicaWorld

  constructor(name: string, world: ReplicaWorld) {
    this.place = name
    this.#world = world
  }

  get streaming(): boolean {
    const from = this.upstream === undefined ? undefined : this.#world.get(this.upstream)
    if (!this.up || !from?.up || this.role === 'leader' || from.timeline < this.timeline) return false
    return this.log.every((entry, index) => from.log[index] === entry)
  }

  /** Receives and replays some. */
  follow(receives: number, replays: number): void {
    if (this.streaming) {
      const from = this.#world.get(this.upstream!)
      this.log.push(...from.log.slice(this.log.length, this.log.length + receives))
      this.timeline = from.timeline
    }
    if (this.up && this.role === 'follower')
      this.replayed = Math.min(this.log.length, this.replayed + replays)
  }

  crash(): void {
    this.up = false
  }

  restart(): void {
    this.up = true
    this.incarnation++
    this.recovered = this.log.length
  }

  /** Becomes a copy of another one that follows it. */
  rebuild(from: ScriptedServer): void {
    const { log, timeline } = from
    Object.assign(this, { role: 'follower', log: [...log], timeline, replayed: log.length, up: true })
    this.upstream = from.place
    this.incarnation++
    this.recovered = undefined
  }

  async promote(permit: () => Promise<void> = () => Promise.resolve()): Promise<void> {
    await this.#travel()
    await permit()
    this.replayed = this.log.length
    const { histories, newest } = this.#world
    const own: Ancestor = { timeline: this.timeline, end: BigInt(this.replayed) }
    histories.set(newest + 1, [...histories.get(this.timeline)!, own])
    this.timeline = this.#world.newest
    this.recovered = this.replayed
    this.role = 'leader'
  }

  async look(): Promise<Look> {
    await this.#travel()
    return {
      ...this.#seen(),
      ...{ incarnation: String(this.incarnation), streaming: this.streaming },
      ...(this.role === 'follower' && { received: BigInt(this.log.length) }),
      ...(this.role === 'leader' && this.recovered !== undefined && { recovered: BigInt(this.recovered) }),
    }
  }

  async ancestors(timeline: number): Promise<readonly Ancestor[] | undefined> {
    await this.#travel()
    return this.#world.tells ? this.#world.histories.get(timeline) : undefined
  }

  async read<Result>(
    admit: (seen: Seen) => void,
    work: (db: ScriptedDb) => Promise<Result>,
  ): Promise<Result> {
    const { incarnation } = this
    await this.#travel()
    admit(this.#seen())
    await this.#travel('undone', incarnation)
    const seen = new Set(this.log.slice(0, this.replayed).map(({ id }) => id))
    return work({ has: (id) => seen.has(id), add: () => undefined })
  }

  async write<Result>(
    admit: (seen: Seen) => void,
    work: (db: ScriptedDb) => Promise<Result>,
    permit: () => void,
  ): Promise<Written<Result>> {
    await this.#travel()
    const { incarnation } = this
    admit(this.#seen())
    const added: string[] = []
    const result = await work({ has: () => false, add: (id) => void added.push(id) })
    await this.#travel('undone', incarnation)
    permit()
    await this.#travel('unknown', incarnation)
    if (this.readOnly) throw new NodeFault('undone', 'it only reads')
    for (const id of added) this.log.push({ timeline: this.timeline, id })
    this.replayed = this.log.length
    const position = BigInt(this.replayed)
    await this.#travel('unknown', incarnation)
    return { result, position }
  }

  async fence(): Promise<void> {
    await this.#travel()
    if (!this.mayFence) throw new Error('permission denied')
    this.readOnly = true
  }

  async unfence(): Promise<void> {
    await this.#travel()
    this.readOnly = false
  }

  async flush(): Promise<bigint> {
    await this.#travel()
    return BigInt(this.log.length)
  }

  abandon(): void {
    this.abandoned++
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  #seen(): Seen {
    const { role, cluster, timeline, readOnly } = this
    return { role, cluster, timeline, position: BigInt(this.replayed), readOnly }
  }

  /** To the server, which may be down when it is reached. */
  async #travel(
    outcome: NodeFault['outcome'] = 'unsent',
    incarnation: number = this.incarnation,
  ): Promise<void> {
    const { clock, random } = this.#world
    await sleep(clock, random.next() * 4)
    if (!this.up || this.incarnation !== incarnation) throw new NodeFault(outcome, 'it is gone')
  }
}
