import { sleep } from '../../core/clock.js'
import { duration, type Duration } from '../../core/duration.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import type { Coordinator, Entry } from '../coordinator.js'
import { coordinationError } from '../errors.js'
import { remember } from '../history.js'
import { segment } from '../keyspace.js'
import type { Fleet } from './fleet.js'
import type { Monitor } from './monitor.js'
import type { Settings } from './options.js'
import { recordIn, recordKey, valueOf, type LeaderRecord } from './record.js'
import { insideOf, type Replicas } from './replicas.js'
import { showPosition } from './token.js'

/** Options of {@link promoteReplica}. */
export interface PromoteOptions {
  /** Who shall lead. */
  to: string
  /**
   * Whether to go on though the leader cannot be reached, or not be fenced: what it has not sent is lost; or though the coordinator
   * says something else of who leads. Default false.
   */
  force?: boolean
  /** How long the new leader may take to replay what it is to have, in ms. Default `'30s'`. */
  wait?: Duration
}

const OPTIONS: OptionTable<PromoteOptions> = {
  to: { kind: 'string', doc: 'who shall lead' },
  force: { kind: 'boolean', doc: 'whether to lose what the leader has not sent' },
  wait: { kind: 'duration', doc: 'how long the new leader may take to replay' },
}

/** What a promotion has done; what JSON can hold. */
export interface Promotion {
  /** Who led; undefined if nobody knows. */
  readonly from?: string
  readonly to: string
  readonly timeline: number
  /** Whether the old leader was stopped before: then nothing is lost. */
  readonly planned: boolean
  /** How many bytes of log the old leader was last seen to have that the new one does not have. It may have had more. */
  readonly lostBytes: number
}

/**
 * Makes a leader of a follower.
 *
 * - Planned, while the leader can be reached: no router writes any more; the leader is set to only read, and its sessions are
 *   ended; the follower replays everything; it takes over. Nothing is lost. If that fails before the follower has taken over, the
 *   leader goes on.
 * - By `force`, where it cannot: no router that obeys the coordinator writes any more once its `ttl` has passed, which is waited
 *   for. Programs that write without a router are not stopped. What the leader had not sent is lost.
 *
 * A command that was broken off can be given again. Of two at once the later one goes on, if it may take over; the other one looks
 * at the coordinator right before the follower takes over, and gives up.
 *
 * Of the server that leads already it makes, by `force`, the one that the coordinator says leads: where that knows of a cluster that
 * is no more, of a server that was promoted apart from this one and is given up, or of another `ttl`. Nobody writes meanwhile.
 *
 * @param coordinator - the one that the routers have
 * @param replicas - open, with all servers; its role must be allowed `ALTER SYSTEM`, `pg_reload_conf`, `pg_terminate_backend`,
 *   `pg_switch_wal` and `pg_promote`, as superusers are
 * @throws `BANYAN_PROMOTION_REFUSED`, `BANYAN_INVALID_OPTIONS`, and errors of the coordinator and the servers
 */
export async function promoteReplica(
  coordinator: Coordinator,
  replicas: Replicas<unknown>,
  options: PromoteOptions,
): Promise<Promotion> {
  checkOptions('promoteReplica', OPTIONS, options)
  const { fleet, settings } = insideOf(replicas)
  const operation = new Operation(coordinator, fleet, settings, options)
  const promotion = await operation.run()
  const at = settings.runtime.clock.wall()
  await remember(coordinator, `replication/${segment(settings.name)}`, { ...promotion, at })
  return promotion
}

const OVERTAKEN = 'somebody else is at it: the coordinator says something else by now'

class Operation {
  readonly #coordinator: Coordinator
  readonly #fleet: Fleet<unknown>
  readonly #settings: Settings
  readonly #to: string
  readonly #force: boolean
  readonly #wait: number
  readonly #key: string
  /** Whether the follower was told to take over. */
  #isSent = false

  constructor(
    coordinator: Coordinator,
    fleet: Fleet<unknown>,
    settings: Settings,
    { to, force = false, wait = '30s' }: PromoteOptions,
  ) {
    this.#coordinator = coordinator
    this.#fleet = fleet
    this.#settings = settings
    this.#to = to
    this.#force = force
    this.#wait = duration(wait)
    this.#key = recordKey(settings.name)
  }

  async run(): Promise<Promotion> {
    const target = this.#fleet.monitors.get(this.#to)
    if (!target)
      throw refused(`there is no server ${this.#to} among ${[...this.#fleet.monitors.keys()].join(', ')}`)
    const { clock, answerWithin } = { ...this.#settings, ...this.#settings.runtime }
    await this.#fleet.wait(() => this.#fleet.isComplete, clock.now() + 2 * answerWithin)
    const entry = await this.#coordinator.get(this.#key)
    const before = entry && recordIn(entry)
    const { leader } = this.#fleet
    if (leader === target) return this.#confirm(entry, before)
    this.#check(target, leader, before)
    const { judgement } = this.#fleet
    const from = leader?.name ?? before?.node
    const promoting = await this.#put(entry, {
      ...{ kind: 'promoting', cluster: judgement.cluster!, node: from ?? '', timeline: judgement.timeline },
      ...{ to: this.#to, since: clock.wall(), ttl: this.#settings.ttl, ancestors: before?.ancestors ?? [] },
    })
    let planned = false
    let lostBytes = 0
    try {
      planned = leader !== undefined && (await this.#stopLeader(leader, target))
      if (!planned) await this.#outwaitRouters(target)
      if (target.look?.readOnly) await target.node.unfence()
      const last = this.#fleet.samples.last?.position ?? 0n
      if (!planned && target.look!.position < last) lostBytes = Number(last - target.look!.position)
      await target.node.promote(async () => {
        const now = await this.#coordinator.get(this.#key)
        if (now?.revision !== promoting.revision) throw refused(OVERTAKEN)
        // From here on nobody knows whether it leads until it says so.
        this.#isSent = true
      })
    } catch (error) {
      if (!this.#isSent) await this.#takeBack(promoting, before, leader)
      throw error
    }
    return this.#finish(promoting, before, { planned, lostBytes }, from)
  }

  /** Lets the coordinator say what is so: that the target leads. */
  async #confirm(entry: Entry | undefined, before: LeaderRecord | undefined): Promise<Promotion> {
    const { clock, ttl, name } = { ...this.#settings, ...this.#settings.runtime }
    const { cluster, timeline } = this.#fleet.judgement
    const how = { planned: false, lostBytes: 0 }
    const isOther =
      before &&
      (before.cluster !== cluster ||
        before.ttl !== ttl ||
        (before.kind === 'leading' && before.timeline === timeline && before.node !== this.#to))
    if (!isOther) return this.#finish(entry, before, how, before?.node)
    if (!this.#force)
      throw refused(
        `${this.#to} leads timeline ${timeline} of cluster ${cluster}, and the coordinator says that ${name} is led by ${before.node}, on timeline ${before.timeline} of cluster ${before.cluster}, with a ttl of ${before.ttl} ms. If that is over, \`force\` replaces it`,
      )
    const { ancestors } = before
    const wait = Math.max(before.ttl, ttl)
    const said = await this.#put(entry, {
      ...{ kind: 'promoting', cluster: cluster!, node: before.node, timeline, to: this.#to },
      ...{ since: clock.wall(), ttl: wait, ancestors: before.cluster === cluster ? ancestors : [] },
    })
    // Whoever believes what was said before writes for so long.
    await sleep(clock, wait)
    return this.#finish(said, undefined, how, before.node)
  }

  #check(
    target: Monitor<unknown>,
    leader: Monitor<unknown> | undefined,
    before: LeaderRecord | undefined,
  ): void {
    const { judgement, samples } = this.#fleet
    const { look, problem } = target
    if (judgement.split) throw refused(judgement.problem!)
    if (problem !== undefined || !look) throw refused(`${this.#to} cannot be reached: ${problem}`)
    if (judgement.roles.get(this.#to) !== 'follower')
      throw refused(`${this.#to} is no follower of this cluster, it is: ${judgement.roles.get(this.#to)}`)
    if (look.timeline !== undefined && !this.#fleet.isOurs(look.timeline, look.position))
      throw refused(`${this.#to} ${this.#fleet.unfit(target)}`)
    if (before && before.cluster !== judgement.cluster && !this.#force)
      throw refused(
        `the coordinator knows ${this.#settings.name} as cluster ${before.cluster}, and ${this.#to} is of cluster ${judgement.cluster}`,
      )
    if (before && before.ttl !== this.#settings.ttl)
      throw refused(
        `the routers have a ttl of ${before.ttl} ms, and these replicas of ${this.#settings.ttl} ms`,
      )
    if (before?.kind === 'promoting' && before.to !== this.#to && !this.#force)
      throw refused(`${before.to} is being promoted since ${new Date(before.since).toISOString()}`)
    if (leader || this.#force) return
    const known =
      samples.last && samples.last.position > look.position ? samples.last.position - look.position : 0n
    throw refused(
      `the leader cannot be reached (${judgement.problem}), so what it has not sent would be lost: ${known} bytes that were seen, or more. Only \`force\` does that`,
    )
  }

  /** @returns false if it was not to be stopped, and that does not matter */
  async #stopLeader(leader: Monitor<unknown>, target: Monitor<unknown>): Promise<boolean> {
    let end: bigint
    try {
      await leader.node.fence()
      end = await leader.node.flush()
    } catch (error) {
      if (this.#force) return false
      throw refused(
        `without \`force\`, which loses what it has not sent, the leader ${leader.name} must be stopped first, and could not be`,
        error,
      )
    }
    if (!(await this.#reached(target, () => target.look!.position >= end)))
      throw refused(
        `${this.#to} has come to ${showPosition(target.look!.position)} only in ${this.#wait} ms, and the leader has ${showPosition(end)}`,
      )
    return true
  }

  /** After that no router writes that has not read what the coordinator says. */
  async #outwaitRouters(target: Monitor<unknown>): Promise<void> {
    await sleep(this.#settings.runtime.clock, this.#settings.ttl)
    // What has arrived is not lost.
    await this.#reached(target, () => {
      const { position, received = 0n } = target.look!
      return position >= received
    })
    const better = this.#fleet
      .followers()
      .find(({ look }) => (look?.received ?? 0n) > (target.look?.received ?? 0n))
    if (better)
      throw refused(
        `${better.name} has received more: ${showPosition(better.look!.received!)}, and ${this.#to} ${showPosition(target.look!.received ?? 0n)}. Promote that one`,
      )
  }

  #reached(target: Monitor<unknown>, condition: () => boolean): Promise<boolean> {
    const { looks } = target
    const isSo = (): boolean => target.looks > looks && !target.away && condition()
    return this.#fleet.wait(isSo, this.#settings.runtime.clock.now() + this.#wait, [target])
  }

  async #takeBack(
    promoting: Entry,
    before: LeaderRecord | undefined,
    leader?: Monitor<unknown>,
  ): Promise<void> {
    if (!leader) return
    const { node, timeline, cluster, since, ttl, ancestors } = before ?? recordIn(promoting)
    // First of all, as somebody else may have taken the promotion over: then the leader stays fenced for them.
    await this.#put(promoting, { kind: 'leading', node, timeline, cluster, since, ttl, ancestors })
    await leader.node.unfence().catch(() => undefined)
  }

  async #finish(
    entry: Entry | undefined,
    before: LeaderRecord | undefined,
    how: { planned: boolean; lostBytes: number },
    from: string | undefined,
  ): Promise<Promotion> {
    const { clock } = this.#settings.runtime
    const target = this.#fleet.monitors.get(this.#to)!
    const leads = (): boolean => this.#fleet.leader === target && target.look?.role === 'leader'
    if (!(await this.#fleet.wait(leads, clock.now() + this.#wait, [target])))
      throw refused(
        `${this.#to} was promoted, and does not lead: ${this.#fleet.judgement.problem}. Give the command again`,
      )
    const { cluster, timeline } = this.#fleet.judgement
    const isSaid = before?.kind === 'leading' && before.node === this.#to && before.timeline === timeline
    if (!isSaid || entry === undefined)
      await this.#put(entry, {
        ...{ kind: 'leading', cluster: cluster!, node: this.#to, timeline, since: clock.wall() },
        ...{ ttl: this.#settings.ttl, ancestors: this.#fleet.timelines.ancestors(timeline) },
      })
    return { ...(from !== undefined && from !== '' && { from }), to: this.#to, timeline, ...how }
  }

  async #put(before: Entry | undefined, record: LeaderRecord): Promise<Entry> {
    const value = valueOf(record)
    const put = await this.#coordinator.put(this.#key, value, { expected: before?.revision ?? 'absent' })
    if (!put.ok) throw refused(OVERTAKEN)
    return { key: this.#key, value, revision: put.revision, created: put.created }
  }
}

function refused(message: string, cause?: unknown): Error {
  const why = cause instanceof Error ? `${message}: ${cause.message}` : message
  return coordinationError('BANYAN_PROMOTION_REFUSED', why, cause)
}
