import { randomUUID } from 'node:crypto'
import { formatPosition, parsePosition, START } from '../../events/position.js'
import type { EncodedCommit, EncodedStream, Outcome, Page, Query, StoredEvent } from '../../events/driver.js'
import type {
  Capabilities,
  Expected,
  LogStats,
  Position,
  StreamInfo,
  Truncation,
  TruncateResult,
} from '../../events/log.js'
import { categoryOf } from '../../events/names.js'
import {
  epochOf,
  notLeader,
  type KnownOutcome,
  type Replica,
  type ReplicaState,
  type ReplicatedDriver,
  type Role,
  type RoleChange,
  type Shipment,
  type StreamTruncation,
} from '../../events/replica.js'

const CAPABILITIES: Capabilities = {
  driver: 'memory',
  order: 'log',
  atomic: 'log',
  dedupe: 'for ever',
  durable: 'none',
  shared: 'process',
  transactions: false,
  backup: false,
}

interface Stream {
  readonly category: string
  /** Place of each revision in the log, from `firstRevision` on. */
  places: number[]
  firstRevision: number
  /** Everything up to here may have been truncated. */
  truncated: number
}

interface Known {
  readonly digest: number
  readonly position: Position
  readonly revisions: readonly number[]
}

/** An event log in the memory of one process: for tests, and for what may be forgotten. */
export function memoryLog(): ReplicatedDriver {
  return new MemoryLog()
}

class MemoryLog implements ReplicatedDriver, Replica {
  readonly capabilities = CAPABILITIES
  readonly parallel = 1
  readonly consecutive = true
  readonly replica = this
  /** The event at place p stands at p - 1; truncated ones leave a hole. */
  readonly #events: (StoredEvent | undefined)[] = []
  readonly #streams = new Map<string, Stream>()
  readonly #categories = new Map<string, Index>()
  readonly #tags = new Map<string, Index>()
  /** Ids of commits, and ids that events were given, which point to nothing. */
  readonly #ids = new Map<string, Known | undefined>()
  readonly #holds = new Map<string, Position>()
  /** Up to here something may be missing that a reader of everything wants. */
  #truncated = 0
  #recorded = 0
  #bytes = 0
  #commits = 0
  #waiting = new Set<() => void>()
  #role: Pick<ReplicaState, 'log' | 'role' | 'epochs' | 'leader' | 'fencedBy' | 'fencedFor'> = {
    log: randomUUID(),
    role: 'leader',
    epochs: [{ epoch: 1, after: START, id: randomUUID() }],
  }
  /** Of each stream its last truncation, the last of all at the end. */
  readonly #truncations = new Map<string, { number: number; forget: boolean }>()
  #truncation = 0

  append(group: readonly EncodedCommit[]): Promise<Outcome[]> {
    if (this.#role.role !== 'leader') return Promise.reject(notLeader(this.#role))
    const outcomes = group.map((commit) => this.#append(commit))
    this.#wake()
    return Promise.resolve(outcomes)
  }

  read(query: Query): Promise<Page> {
    const after = parsePosition(query.after)
    const upTo = query.upTo === undefined ? Infinity : parsePosition(query.upTo)
    const before = query.before === undefined ? Infinity : parsePosition(query.before)
    const last = Math.min(upTo, before - 1, this.#events.length)
    const index = this.#indexOf(query)
    const events: StoredEvent[] = []
    let place = query.backwards ? last : after + 1
    // One more than asked for tells whether this is the end.
    for (const next of index.walk(place, query.backwards)) {
      if (next <= after || next > last) break
      const event = this.#events[next - 1]
      if (!event || !selects(query, event)) continue
      if (events.length === query.limit) {
        const position = events.at(-1)?.position ?? query.after
        return Promise.resolve({
          events,
          position,
          end: false,
          truncated: this.#truncatedAfter(query) > after,
        })
      }
      events.push(event)
      place = next
    }
    const position = query.backwards ? query.after : formatPosition(Math.max(last, after))
    return Promise.resolve({ events, position, end: true, truncated: this.#truncatedAfter(query) > after })
  }

  head(): Promise<Position> {
    return Promise.resolve(formatPosition(this.#events.length))
  }

  positionAt(time: number): Promise<Position> {
    let place = this.#events.length
    while (place > 0 && (this.#events[place - 1]?.recorded ?? Infinity) >= time) place--
    return Promise.resolve(formatPosition(place))
  }

  changed(position: Position, signal: AbortSignal): Promise<void> {
    if (this.#events.length > parsePosition(position) || signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      this.#waiting.add(wake)
      signal.addEventListener('abort', wake, { once: true })
    })
  }

  revision(stream: string): Promise<number | 'none'> {
    return Promise.resolve(this.#revision(stream))
  }

  streams({
    category,
    after = '',
    limit,
  }: {
    category?: string
    after?: string
    limit: number
  }): Promise<StreamInfo[]> {
    const names = [...this.#streams.keys()].filter((name) => name > after).sort()
    const found: StreamInfo[] = []
    for (const name of names) {
      const stream = this.#streams.get(name)!
      if (category !== undefined && stream.category !== category) continue
      if (
        found.push({
          stream: name,
          category: stream.category,
          revision: lastRevision(stream),
          firstRevision: stream.firstRevision,
        }) === limit
      )
        break
    }
    return Promise.resolve(found)
  }

  truncate(what: Truncation): Promise<TruncateResult> {
    if (this.#role.role !== 'leader') return Promise.reject(notLeader(this.#role))
    const limit = 'stream' in what ? Infinity : parsePosition(what.upTo)
    const forget = 'stream' in what && (what.forget ?? false)
    const hold = forget ? undefined : [...this.#holds].sort(([, a], [, b]) => (a < b ? -1 : 1))[0]
    const held = hold ? parsePosition(hold[1]) : Infinity
    let removed = 0
    let kept = false as boolean
    const names = 'stream' in what ? [what.stream] : this.#streams.keys()
    for (const name of names) {
      const stream = this.#streams.get(name)
      if (!stream || ('category' in what && stream.category !== what.category)) continue
      const count = stream.places.filter((place, index) => {
        const wanted = 'stream' in what ? stream.firstRevision + index < what.beforeRevision : place <= limit
        if (wanted && place > held) kept = true
        return wanted && place <= held
      }).length
      for (const place of stream.places.splice(0, count))
        if (forget) this.#forget(place, stream)
        else this.#remove(place, stream)
      stream.firstRevision += count
      removed += count
      if (count > 0) this.#noteTruncation(name, ++this.#truncation, forget)
    }
    return Promise.resolve({ removed, ...(kept && { heldBy: hold![0] }) })
  }

  hold(name: string, position: Position): Promise<void> {
    if (this.#role.role !== 'leader') return Promise.reject(notLeader(this.#role))
    this.#holds.set(name, formatPosition(parsePosition(position)))
    return Promise.resolve()
  }

  release(name: string): Promise<void> {
    if (this.#role.role !== 'leader') return Promise.reject(notLeader(this.#role))
    this.#holds.delete(name)
    return Promise.resolve()
  }

  stats(): Promise<LogStats> {
    let events = 0
    for (const stream of this.#streams.values()) events += stream.places.length
    return Promise.resolve({
      driver: 'memory',
      events,
      streams: this.#streams.size,
      commits: this.#commits,
      bytes: this.#bytes,
      head: formatPosition(this.#events.length),
      first: this.#events.find((event) => event !== undefined)?.position ?? START,
      format: 1,
      holds: [...this.#holds].map(([name, position]) => ({ name, position })),
    })
  }

  async *verify(): AsyncGenerator<never> {
    // Nothing here can differ from the events themselves.
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  state(): Promise<ReplicaState> {
    return Promise.resolve({
      ...this.#role,
      head: formatPosition(this.#events.length),
      truncation: this.#truncation,
      holds: [...this.#holds].map(([name, position]) => ({ name, position })),
    })
  }

  outcomes(ids: readonly string[]): Promise<KnownOutcome[]> {
    const known = ids.map((id) => ({ id, ...this.#ids.get(id) }))
    return Promise.resolve(known.filter((each): each is KnownOutcome => each.digest !== undefined))
  }

  truncations(after: number, limit: number): Promise<StreamTruncation[]> {
    const found: StreamTruncation[] = []
    for (const [stream, { number, forget }] of this.#truncations) {
      if (number <= after) continue
      const { category, firstRevision } = this.#streams.get(stream)!
      if (found.push({ number, stream, category, firstRevision, forget }) === limit) break
    }
    return Promise.resolve(found)
  }

  apply(shipment: Shipment): Promise<boolean> {
    if (this.#role.role !== 'follower') return Promise.reject(new Error('the log is no follower'))
    if (formatPosition(this.#events.length) !== shipment.after) return Promise.resolve(false)
    for (const { id, digest, outcome, events } of shipment.commits) {
      for (const event of events) this.#place(event)
      const last = new Map(events.map(({ stream, revision }) => [stream, revision]))
      const { position, revisions } = outcome ?? {
        position: events.at(-1)!.position,
        revisions: [...last.values()],
      }
      this.#ids.set(id, { digest, position, revisions })
      this.#commits++
    }
    for (const { stream, category, firstRevision, number, forget } of shipment.truncations) {
      this.#cut(stream, category, firstRevision, forget)
      this.#noteTruncation(stream, number, forget)
      this.#truncation = number
    }
    this.#events.length = parsePosition(shipment.upTo)
    this.#holds.clear()
    for (const { name, position } of shipment.holds) this.#holds.set(name, position)
    this.#role = { ...this.#role, epochs: shipment.epochs }
    this.#wake()
    return Promise.resolve(true)
  }

  become(change: RoleChange, from: { role: Role; epoch: number }): Promise<ReplicaState> {
    if (this.#role.role === from.role && epochOf(this.#role) === from.epoch) {
      const { log, epochs } = this.#role
      this.#role = { log, epochs, ...change }
    }
    return this.state()
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = new Set()
    for (const wake of waiting) wake()
  }

  #noteTruncation(stream: string, number: number, forget: boolean): void {
    this.#truncations.delete(stream)
    this.#truncations.set(stream, { number, forget })
  }

  /** An event of a leader, at its own place. */
  #place(event: StoredEvent): void {
    const { stream: name, revision, tags, id, commit } = event
    const place = parsePosition(event.position)
    const category = categoryOf(name)
    // Where revisions are missing, all before them have been removed.
    const stream = this.#cut(name, category, revision, true, lastRevisionOf(this.#streams.get(name)) + 1)
    this.#events.length = place - 1
    this.#events.push(event)
    this.#recorded = Math.max(this.#recorded, event.recorded)
    stream.places.push(place)
    indexUnder(this.#categories, stream.category, place)
    for (const tag of tags) indexUnder(this.#tags, tag, place)
    if (id !== undefined && id !== commit) this.#ids.set(id, undefined)
  }

  /** Removes what is below a revision, which may be behind the end of the stream; nothing if the stream goes on there. */
  #cut(name: string, category: string, first: number, forget: boolean, goesOn?: number): Stream {
    let stream = this.#streams.get(name)
    if (!stream) {
      stream = { category, places: [], firstRevision: 0, truncated: 0 }
      this.#streams.set(name, stream)
    }
    if (first === goesOn || first <= stream.firstRevision) return stream
    for (const place of stream.places.splice(0, first - stream.firstRevision))
      if (forget) this.#forget(place, stream)
      else this.#remove(place, stream)
    stream.firstRevision = first
    return stream
  }

  #append(commit: EncodedCommit): Outcome {
    const { id, digest, streams, checks } = commit
    const known = this.#ids.get(id)
    if (known?.digest === digest) return { kind: 'appended', ...known, duplicate: true }
    if (this.#ids.has(id)) return { kind: 'overlap', id }
    for (const { events } of streams)
      for (const event of events)
        if (event.id !== undefined && this.#ids.has(event.id)) return { kind: 'overlap', id: event.id }

    const conflicts = [...streams, ...checks]
      .map(({ stream, expected }) => ({ stream, expected, actual: this.#revision(stream) }))
      .filter(({ expected, actual }) => !holds(expected, actual))
    if (conflicts.length > 0) return { kind: 'conflict', conflicts }

    const position = formatPosition(
      this.#events.length + streams.reduce((sum, { events }) => sum + events.length, 0),
    )
    // What only checks leaves no trace, not even its id: asked again, it checks again.
    if (streams.length === 0) return { kind: 'appended', position, revisions: [], duplicate: false }
    this.#recorded = Math.max(this.#recorded, commit.recorded)
    const revisions = streams.map((stream) => this.#appendStream(commit, stream))
    this.#ids.set(id, { digest, position, revisions })
    this.#commits++
    this.#bytes += commit.bytes
    return { kind: 'appended', position, revisions, duplicate: false }
  }

  #appendStream({ id: commit }: EncodedCommit, { stream: name, category, events }: EncodedStream): number {
    let stream = this.#streams.get(name)
    if (!stream) {
      stream = { category, places: [], firstRevision: 0, truncated: 0 }
      this.#streams.set(name, stream)
    }
    for (const event of events) {
      const place = this.#events.length + 1
      const revision = lastRevision(stream) + 1
      const recorded = this.#recorded
      this.#events.push({
        ...event,
        commit,
        stream: name,
        revision,
        position: formatPosition(place),
        recorded,
      })
      stream.places.push(place)
      indexUnder(this.#categories, category, place)
      for (const tag of event.tags) indexUnder(this.#tags, tag, place)
      if (event.id !== undefined && event.id !== commit) this.#ids.set(event.id, undefined)
    }
    return lastRevision(stream)
  }

  #remove(place: number, stream: Stream): void {
    this.#events[place - 1] = undefined
    stream.truncated = Math.max(stream.truncated, place)
    const category = this.#categories.get(stream.category)
    if (category) category.truncated = Math.max(category.truncated, place)
    this.#truncated = Math.max(this.#truncated, place)
  }

  #forget(place: number, stream: Stream): void {
    const { id, commit, revision } = this.#events[place - 1]!
    const truncated = this.#truncated
    this.#remove(place, stream)
    this.#truncated = truncated
    if (id !== undefined && id !== commit) this.#ids.delete(id)
    const { revisions } = this.#ids.get(commit)!
    if (revisions.length > 1 || revisions[0] !== revision) return
    this.#ids.delete(commit)
    this.#commits--
  }

  #revision(stream: string): number | 'none' {
    const known = this.#streams.get(stream)
    return known ? lastRevision(known) : 'none'
  }

  #indexOf({ stream, category, tags }: Query): Index {
    if (stream !== undefined) return new Index(this.#streams.get(stream)?.places)
    if (category !== undefined) return this.#categories.get(category) ?? new Index()
    if (tags) return this.#tags.get(tags[0]!) ?? new Index()
    return new Everything(this.#events.length)
  }

  #truncatedAfter({ stream, category }: Query): number {
    if (stream !== undefined) return this.#streams.get(stream)?.truncated ?? 0
    return category !== undefined ? (this.#categories.get(category)?.truncated ?? 0) : this.#truncated
  }
}

/** Rising places of events. */
class Index {
  readonly places: number[]
  truncated = 0

  constructor(places: number[] = []) {
    this.places = places
  }

  /** The places from one on, or from one backwards. */
  *walk(from: number, backwards: boolean): Generator<number, void, undefined> {
    const start = this.#find(from)
    if (!backwards) for (let index = start; index < this.places.length; index++) yield this.places[index]!
    else
      for (let index = this.places[start] === from ? start : start - 1; index >= 0; index--)
        yield this.places[index]!
  }

  /** Index of the first place that is not below this one. */
  #find(place: number): number {
    let low = 0
    let high = this.places.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.places[middle]! < place) low = middle + 1
      else high = middle
    }
    return low
  }
}

class Everything extends Index {
  readonly #last: number

  constructor(last: number) {
    super()
    this.#last = last
  }

  override *walk(from: number, backwards: boolean): Generator<number, void, undefined> {
    if (backwards) for (let place = Math.min(from, this.#last); place > 0; place--) yield place
    else for (let place = from; place <= this.#last; place++) yield place
  }
}

function indexUnder(indexes: Map<string, Index>, name: string, place: number): void {
  let index = indexes.get(name)
  if (!index) indexes.set(name, (index = new Index()))
  index.places.push(place)
}

function lastRevisionOf(stream: Stream | undefined): number {
  return stream ? lastRevision(stream) : -1
}

function lastRevision(stream: Stream): number {
  return stream.firstRevision + stream.places.length - 1
}

function holds(expected: Expected, actual: number | 'none'): boolean {
  if (expected === 'any') return true
  return expected === 'exists' ? actual !== 'none' : expected === actual
}

function selects(query: Query, event: StoredEvent): boolean {
  const { stream, tags, types, fromRevision = 0, toRevision = Infinity } = query
  if (stream !== undefined && (event.revision < fromRevision || event.revision > toRevision)) return false
  if (types && !types.includes(event.type)) return false
  return !tags || tags.every((tag) => event.tags.includes(tag))
}
