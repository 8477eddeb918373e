import { backoffWait } from '../../core/backoff.js'
import { BanyanError } from '../../core/errors.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import { Observers, type Unsubscribe } from '../../core/observers.js'
import type { Coordinator, Session } from '../coordinator.js'
import { coordinationError, hasCode } from '../errors.js'
import { checkValue } from '../keys.js'
import { pause } from '../line/limit.js'
import { leave } from '../line/own-key.js'
import { Attempt } from './attempt.js'
import { Candidacy, leaderValue, type CandidacyContext } from './candidacy.js'
import { TermHistory } from './history.js'
import { electionKeys } from './keys.js'
import { Leadership, type Won } from './leadership.js'
import { ElectionMeter } from './meter.js'
import { observeElection } from './observe.js'
import { settingsOf, type ElectionOptions } from './options.js'
import { Outlook } from './outlook.js'
import { isWantedMore, leaderIn, leaderOf, publicLeader, type Leader } from './picture.js'
import { askForHandOver } from './request.js'
import { countLead, yieldTime } from './spread.js'
import { isSameState, type ElectionState } from './state.js'
import type { Term, TermEnd } from './term.js'

/** Takes part in an election until it is closed. See {@link elect}. */
export interface Election extends AsyncDisposable {
  readonly name: string
  readonly state: ElectionState
  /** The present term, while this one leads. */
  readonly term: Term | undefined
  /** Observes changes of state. What a listener throws is logged, and changes nothing. */
  on(event: 'change', listener: (state: ElectionState) => void): Unsubscribe
  /** Who leads, as the engine says now: this one or another. */
  leader(): Promise<Leader | undefined>
  /** Who leads, and again whenever that changes; see {@link observeElection}. */
  observe(options?: { signal?: AbortSignal }): AsyncIterable<Leader | undefined>
  /**
   * Ends its term, if it leads: the signal aborts at once, and when the work has ended the next one leads. It is a candidate
   * again after that.
   *
   * @returns when somebody else may lead; at once if its own work calls it, which has to end first
   */
  resign(): Promise<void>
  /**
   * Ends its term for another candidate. Of two at a time the one that was asked for last counts.
   *
   * @returns as {@link resign}. That candidate comes first then; if it has gone or hangs meanwhile, another leads
   * @param options.to - the `holder` of the candidate; default who is next. In the algorithm `line` nobody else can be
   * @throws `BANYAN_NOT_LEADER`, `BANYAN_NO_CANDIDATE`, `BANYAN_INVALID_OPTIONS`
   */
  handOver(options?: { to?: string }): Promise<void>
  /** Takes part no longer. Resolves when the work of the leader has ended and others know; for that work itself at once. */
  close(): Promise<void>
}

const HAND_OVER: OptionTable<{ to?: string }> = {
  to: { kind: 'string', doc: 'the `holder` of the candidate that shall lead' },
}

/**
 * Takes part in an election: at most one of all candidates of that name leads at a time.
 *
 * Who leads is who has put the one key of the leader while it was not there; the revision of that is its token. Everything else,
 * such as whose turn it is, only makes that candidates do not all try at once. A leader whose lease was not renewed in time has
 * given up before the engine lets the key go, so that no two believe to lead at the same moment (as long as no clock is more
 * than twice as fast as another).
 *
 * That is no mutual exclusion for anything outside of the coordinator: between a look at the clock and a write anything may
 * happen. Send the token along, and let the resource refuse a lower one than it has seen.
 *
 * @param name - of the election, the same for all candidates
 */
export function elect(coordinator: Coordinator, name: string, options: ElectionOptions = {}): Election {
  return new RunningElection(coordinator, name, options)
}

class RunningElection implements Election {
  readonly name: string
  readonly #context: CandidacyContext
  readonly #session: Session
  readonly #observers = new Observers<{ change: ElectionState }>()
  readonly #meter: ElectionMeter
  readonly #history: TermHistory
  readonly #closing = new AbortController()
  readonly #running: Promise<void>
  #state: ElectionState = { kind: 'candidate' }
  #candidacy: Candidacy | undefined
  #leading: Leadership | undefined
  /** The last term of its own: who still sees that key does not see another leader. */
  #lastToken: number | undefined
  /** What the work of the last term has failed with. */
  #failure: unknown
  /** What keeps it from seeing the election. */
  #blind: unknown
  /** What keeps it from taking part. */
  #kept: unknown

  constructor(coordinator: Coordinator, name: string, options: ElectionOptions) {
    const settings = settingsOf(name, options)
    const keys = electionKeys(name)
    checkValue(keys.leader, leaderValue(settings, '', 0))
    this.name = name
    this.#session = coordinator.session(options.ttl)
    const closing = this.#closing.signal
    const outlook = new Outlook(coordinator, keys, closing)
    const placed = (): void => this.#report()
    this.#context = { coordinator, keys, settings, outlook, closing, placed }
    this.#meter = new ElectionMeter(coordinator.runtime, name, () => this.#state.kind === 'leading')
    this.#history = new TermHistory(coordinator, name)
    this.#running = this.#run()
  }

  get state(): ElectionState {
    return this.#state
  }

  get term(): Term | undefined {
    return this.#state.kind === 'leading' ? this.#leading?.term : undefined
  }

  on(event: 'change', listener: (state: ElectionState) => void): Unsubscribe {
    return this.#observers.on(event, (state) => {
      try {
        listener(state)
      } catch (error) {
        const { telemetry } = this.#context.coordinator.runtime
        telemetry.log(
          'error',
          `election ${JSON.stringify(this.name)}, a listener has failed: ${String(error)}`,
        )
      }
    })
  }

  async leader(): Promise<Leader | undefined> {
    const { coordinator, keys } = this.#context
    const entry = await coordinator.get(keys.leader)
    if (entry) return publicLeader(leaderOf(entry))
    const { entries } = await coordinator.list(keys.prefix)
    const leader = leaderIn(keys, { entries: new Map(entries.map((each) => [each.key, each])) })
    return leader && publicLeader(leader)
  }

  observe(options?: { signal?: AbortSignal }): AsyncIterable<Leader | undefined> {
    return observeElection(this.#context.coordinator, this.name, options)
  }

  async resign(): Promise<void> {
    this.#leading?.stop('resigned')
    await this.#leading?.ended()
  }

  async handOver(options: { to?: string } = {}): Promise<void> {
    checkOptions('handOver', HAND_OVER, options)
    const { to } = options
    const leading = this.#leading
    if (!leading?.term.held)
      throw coordinationError('BANYAN_NOT_LEADER', `${JSON.stringify(this.name)} is not led from here`)
    const { coordinator, settings } = this.#context
    const { token } = leading.term
    await askForHandOver(coordinator, this.name, { token, to, by: settings.holder })
    leading.stop('handed over')
    await leading.ended()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    const leading = this.#leading
    leading?.stop('closed')
    if (!leading?.isWithin) await this.#running
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #run(): Promise<void> {
    const following = this.#follow()
    let failures = 0
    let preempts = this.#context.settings.preempt
    while (!this.#isClosing()) {
      try {
        const won = await this.#beCandidate(preempts)
        if (!won) continue
        const why = await this.#lead(won)
        failures = why === 'failed' ? failures + 1 : 0
        const yields = why === 'resigned' || why === 'handed over' || why === 'preempted'
        // Or it would take back at once what it has just given away.
        preempts = this.#context.settings.preempt && !yields
        // In a strict line it comes behind them in any case.
        if (yields && this.#context.settings.algorithm !== 'line') await this.#yieldTo(won.token)
        if (why === 'returned' && this.#context.settings.once) this.#closing.abort()
        else if (why === 'returned' || why === 'failed') await this.#backOff(Math.max(1, failures))
      } catch (error) {
        if (this.#isClosing()) break
        this.#kept = error
        this.#failed(error)
        await this.#backOff(++failures)
      }
    }
    await following
    await this.#history.written()
    this.#meter.close()
    this.#become({ kind: 'closed', ...this.#failureField() })
  }

  #isClosing(): boolean {
    return this.#closing.signal.aborted
  }

  /** Whatever goes wrong is tried again, unless there is no coordinator any more. */
  #failed(error: unknown): void {
    if (hasCode(error, 'BANYAN_COORDINATOR_CLOSED')) this.#closing.abort()
    else
      this.#context.coordinator.runtime.telemetry.log(
        'warn',
        `election ${JSON.stringify(this.name)}, tried again: ${String(error)}`,
      )
    this.#report()
  }

  /** There is no lease, as the session has logged. Once for each reason, however often it is tried. */
  #keptOut(error: BanyanError): void {
    if (this.#kept instanceof BanyanError && this.#kept.code === error.code) return
    this.#kept = error
    this.#report()
  }

  #backOff(failures: number): Promise<void> {
    const { coordinator, settings, closing } = this.#context
    const { clock, random } = coordinator.runtime
    return pause(clock, backoffWait(settings.backoff, failures, 'equal', random), closing)
  }

  /** Keeps what is seen of the election up to date. */
  async #follow(): Promise<void> {
    let failures = 0
    const see = (): void => {
      failures = 0
      this.#see()
    }
    while (!this.#isClosing()) {
      try {
        await this.#context.outlook.follow(see)
      } catch (error) {
        this.#blind = error
        this.#failed(error)
      }
      if (!this.#isClosing()) await this.#backOff(++failures)
    }
  }

  #see(): void {
    this.#blind = undefined
    this.#judge()
    this.#report()
  }

  /** Whether what can be seen ends the present term. */
  #judge(): void {
    const { coordinator, outlook, settings, keys } = this.#context
    const { leader, line, request, candidates, revision } = outlook.picture!
    const leading = this.#leading
    // What was seen may be from before. After a stall it tells of the end of a lease whose loss nobody had the time to notice.
    if (!leading?.term.held || revision < leading.won.revision) return
    const { token, place, revision: own } = leading.won
    if (leader?.revision !== own || (place && line.get(place.key) !== place.created))
      leading.stop('taken away')
    else if (request?.token === token) leading.stop('handed over')
    else if (!place && candidates.some((each) => each.preempt && isWantedMore(each, settings)))
      leading.stop('preempted')
    // It was for a term before this one. Left there, the next leader sees to it.
    else if (request) coordinator.delete(keys.request, { expected: request.revision }).catch(() => undefined)
  }

  async #beCandidate(preempts: boolean): Promise<Won | undefined> {
    const lease = await this.#session.lease({
      signal: this.#context.closing,
      failed: (error) => this.#keptOut(error),
    })
    this.#kept = undefined
    this.#candidacy = new Candidacy(this.#context, lease, preempts)
    try {
      return await this.#candidacy.win()
    } finally {
      this.#candidacy = undefined
    }
  }

  async #lead(won: Won): Promise<TermEnd> {
    const { coordinator, settings, keys } = this.#context
    const leading = new Leadership(this.name, won, () => this.#stopping())
    this.#leading = leading
    this.#began(won)
    if (this.#isClosing()) leading.stop('closed')
    else this.#judge()
    await leading.run(settings.onLead, coordinator.runtime)
    const why = leading.why!
    const attempt = new Attempt(coordinator, keys.leader, won.lease, won.id, won.doubtful)
    const left = Promise.all([attempt.disown(won.revision), won.place && leave(coordinator, won.place)])
    // Without the lease the engine is most likely away.
    if (why !== 'lease lost') await left
    countLead(coordinator, -1)
    this.#meter.ended(why)
    this.#history.ended(won.token, why)
    this.#leading = undefined
    this.#report()
    leading.finish()
    return why
  }

  #began({ token, since }: Won): void {
    this.#lastToken = token
    const { coordinator, outlook, settings } = this.#context
    this.#meter.began(coordinator.runtime.clock.now() - outlook.vacancy.since)
    this.#history.began({ holder: settings.holder, token, since })
    this.#failure = undefined
    this.#become({ kind: 'leading', token, since })
  }

  #stopping(): void {
    const { term, why, failure } = this.#leading!
    this.#failure = failure
    const { token, since } = term
    this.#become({ kind: 'stopping', token, since, why: why!, ...this.#failureField() })
  }

  /** Lets the others try first. */
  async #yieldTo(token: number): Promise<void> {
    const { coordinator, settings, outlook } = this.#context
    const { clock } = coordinator.runtime
    const until = clock.now() + yieldTime(settings, this.#session.ttl)
    while (clock.now() < until && !this.#isClosing()) {
      const { leader, candidates } = outlook.picture!
      if (leader ? leader.token > token : settings.algorithm === 'queue' && candidates.length === 0) return
      await outlook.change(until - clock.now())
    }
  }

  /** Says what it is, while it does not lead. */
  #report(): void {
    if (this.#leading || this.#state.kind === 'closed') return
    const seen = this.#context.outlook.picture?.leader
    const leader = seen?.token === this.#lastToken ? undefined : seen
    const place = this.#candidacy?.place
    const rest = { ...(place !== undefined && { place }), ...this.#failureField() }
    this.#become(
      leader ? { kind: 'follower', leader: publicLeader(leader), ...rest } : { kind: 'candidate', ...rest },
    )
  }

  #become(state: ElectionState): void {
    if (isSameState(state, this.#state)) return
    this.#state = state
    this.#observers.emit('change', state)
  }

  #failureField(): { failure?: unknown } {
    const failure = this.#kept ?? this.#blind ?? this.#failure
    return failure === undefined ? {} : { failure }
  }
}
