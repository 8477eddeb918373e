import { backoffWait } from '../../core/backoff.js'
import { sleep } from '../../core/clock.js'
import { BanyanError } from '../../core/errors.js'
import type { Runtime } from '../../core/runtime.js'
import { eventError } from '../errors.js'
import type { Position } from '../log.js'
import { parsePosition, START } from '../position.js'
import { epochOf, type ReplicaState, type ReplicatedDriver } from '../replica.js'
import type { Leader, Pulled, PullRequest } from './source.js'
import { checkWhole } from './wire.js'

/** What does not pass by itself: somebody has to look. */
const FINAL = new Set([
  'BANYAN_FOLLOWER_FOREIGN',
  'BANYAN_FOLLOWER_DIVERGED',
  'BANYAN_FOLLOWER_AHEAD',
  'BANYAN_FOLLOWER_GAP',
  'BANYAN_LOG_FENCED',
  'BANYAN_UNSUPPORTED',
  'BANYAN_LOG_FORMAT',
])

/** Between tries while the leader is away, in ms. */
const RETRY = { base: 50, factor: 2, max: 2000 }

/** How a follower is. */
export interface FollowerStatus {
  /**
   * `starting`: has not heard of its leader yet. `following`: takes over what comes. `away`: the leader cannot be reached, or
   * something else is wrong that may pass; it tries again. `stopped`: for good, `problem` says why.
   */
  readonly state: 'starting' | 'following' | 'away' | 'stopped'
  /** Its leader, for people. */
  readonly leader: string
  /** Id of the log. */
  readonly log: string
  readonly epoch: number
  /** Up to here it has everything. */
  readonly position: Position
  /** Where the leader ended when it was last heard of. */
  readonly head: Position
  /** Positions that were missing then. */
  readonly behind: number
  /** ms since it is known to have had everything; undefined if it never had. What it shows is at most so old. */
  readonly staleness: number | undefined
  /** ms since the leader was last heard of; undefined if it never was. */
  readonly contact: number | undefined
  /** Whether the leader takes appends, when it was last heard of. */
  readonly writable: boolean
  readonly problem?: { readonly code: string; readonly message: string }
}

/** Keeps a local log a copy of its leader's. */
export class Shipping {
  readonly #driver: ReplicatedDriver
  readonly #leader: Leader
  readonly #runtime: Runtime
  readonly #settings: { readonly wait: number; readonly batch: number }
  readonly #ended = new AbortController()
  readonly #moved = new Set<() => void>()
  #status: FollowerStatus['state'] = 'starting'
  #problem: FollowerStatus['problem']
  #local: ReplicaState
  #remote: ReplicaState | undefined
  /** On the clock that never goes back. */
  #freshAt: number | undefined
  #contactAt: number | undefined
  readonly #running: Promise<void>

  constructor(
    driver: ReplicatedDriver,
    leader: Leader,
    local: ReplicaState,
    runtime: Runtime,
    settings: { wait: number; batch: number },
  ) {
    this.#driver = driver
    this.#leader = leader
    this.#local = local
    this.#runtime = runtime
    this.#settings = settings
    this.#running = this.#run()
  }

  get local(): ReplicaState {
    return this.#local
  }

  status(): FollowerStatus {
    const now = this.#runtime.clock.now()
    const { log, head: position } = this.#local
    const head = this.#remote?.head ?? START
    return {
      state: this.#status,
      leader: this.#leader.name,
      log,
      epoch: epochOf(this.#local),
      position,
      head,
      behind: Math.max(0, parsePosition(head) - parsePosition(position)),
      staleness: this.#freshAt === undefined ? undefined : now - this.#freshAt,
      contact: this.#contactAt === undefined ? undefined : now - this.#contactAt,
      writable: this.#remote?.role === 'leader' && this.#status === 'following',
      ...problemOf(this.#problem, this.#remote),
    }
  }

  /** Resolves when something has changed, after this time, or when the signal aborts. */
  moved(ms: number, signal?: AbortSignal): Promise<void> {
    const { clock } = this.#runtime
    return new Promise((resolve) => {
      const end = (): void => {
        timer.cancel()
        this.#moved.delete(end)
        signal?.removeEventListener('abort', end)
        resolve()
      }
      const timer = clock.schedule(clock.now() + ms, end)
      this.#moved.add(end)
      signal?.addEventListener('abort', end, { once: true })
      if (signal?.aborted || this.#ended.signal.aborted) end()
    })
  }

  /** Ends it; what is there stays. */
  async end(): Promise<void> {
    this.#ended.abort()
    await this.#running
    this.#wake()
  }

  async #run(): Promise<void> {
    const { signal } = this.#ended
    const { clock, random } = this.#runtime
    const isOver = (): boolean => signal.aborted
    for (let failures = 0; !isOver();) {
      try {
        await this.#step(signal)
        failures = 0
      } catch (error) {
        if (isOver()) return
        this.#failed(error)
        if (this.#status === 'stopped') return
        await sleep(clock, backoffWait(RETRY, ++failures, 'equal', random), signal).catch(() => undefined)
      }
    }
  }

  async #step(signal: AbortSignal): Promise<void> {
    const asked = this.#runtime.clock.now()
    const pulled = await this.#leader.pull(await this.#request(), signal)
    for (const { events } of pulled.commits) events.forEach(checkWhole)
    await this.#take(pulled)
    // What came after the request was sent may not be in the answer; what came before is. One that gave way knows nothing of that.
    const isAll = pulled.end && this.#local.head >= pulled.upTo
    if (isAll && pulled.state.role === 'leader') this.#freshAt = asked
    this.#status = 'following'
    if (this.#problem) this.#runtime.telemetry.log('info', `the follower of ${this.#leader.name} goes on`)
    this.#problem = undefined
    this.#wake()
  }

  async #request(): Promise<PullRequest> {
    const { wait, batch } = this.#settings
    const { log, epochs, head, truncation } = this.#local
    const request = { after: head, truncation, limit: batch, wait: this.#status === 'following' ? wait : 0 }
    if (this.#isBlank()) return { ...request, epochs: [] }
    const { events } = await this.#driver.read({ after: START, upTo: head, backwards: true, limit: 1 })
    const [last] = events
    const { commit, checksum } = last ?? {}
    const isLast = last?.position === head && commit !== undefined && checksum !== undefined
    return { ...request, log, epochs, ...(isLast && { last: { commit, checksum } }) }
  }

  /** Nothing of a log is there yet. */
  #isBlank(): boolean {
    return this.#local.head === START && this.#local.truncation === 0
  }

  async #take({ state, commits, upTo, truncations }: Pulled): Promise<void> {
    const { replica } = this.#driver
    if (this.#local.log !== state.log) {
      if (!this.#isBlank()) throw foreign(this.#local, state)
      const { log, epochs } = state
      const change = { role: 'follower', log, epochs, leader: this.#leader.name } as const
      this.#local = await replica.become(change, { role: 'follower', epoch: epochOf(this.#local) })
    }
    // Also if its disk is full, say, a follower knows what it lacks.
    this.#contactAt = this.#runtime.clock.now()
    this.#remote = state
    if (isSame(this.#local, state, upTo) && truncations.length === 0) return
    const { epochs, holds } = state
    await replica.apply({ after: this.#local.head, upTo, commits, truncations, epochs, holds })
    this.#local = await replica.state()
  }

  #failed(error: unknown): void {
    const known = error instanceof BanyanError
    const code = known ? error.code : 'BANYAN_LOG_UNAVAILABLE'
    const message = error instanceof Error ? error.message : String(error)
    const isNew = this.#problem?.code !== code
    this.#status = known && FINAL.has(code) ? 'stopped' : this.#status === 'starting' ? 'starting' : 'away'
    this.#problem = { code, message }
    const says = this.#status === 'stopped' ? 'has stopped' : 'waits'
    if (isNew)
      this.#runtime.telemetry.log(
        this.#status === 'stopped' ? 'error' : 'warn',
        `the follower of ${this.#leader.name} ${says}: ${message}`,
      )
    this.#wake()
  }

  #wake(): void {
    for (const end of [...this.#moved]) end()
  }
}

/** A leader that gave way answers, but what it has is not what the log is any more. */
function problemOf(
  problem: FollowerStatus['problem'],
  remote: ReplicaState | undefined,
): Pick<FollowerStatus, 'problem'> {
  if (problem) return { problem }
  if (remote?.role !== 'fenced') return {}
  const to = remote.fencedBy === undefined ? '' : ` to the leader of epoch ${remote.fencedBy}`
  const message = `its leader was that in epoch ${epochOf(remote)}, and gave way${to}: nothing new comes from there. Follow the new leader`
  return { problem: { code: 'BANYAN_LOG_FENCED', message } }
}

function isSame(local: ReplicaState, remote: ReplicaState, upTo: Position): boolean {
  return (
    local.head === upTo &&
    local.epochs.length === remote.epochs.length &&
    JSON.stringify(local.holds) === JSON.stringify(remote.holds)
  )
}

function foreign(local: ReplicaState, remote: ReplicaState): Error {
  return eventError(
    'BANYAN_FOLLOWER_FOREIGN',
    `the follower is a copy of the log ${local.log}, and its leader has ${remote.log}: they have nothing in common`,
  )
}
