import type { Coordinator, Lease } from '../coordinator.js'
import { take, type Place } from '../line/line.js'
import { onAbort } from '../on-abort.js'
import { leave, ownId } from '../line/own-key.js'
import { Attempt } from './attempt.js'
import type { ElectionKeys } from './keys.js'
import type { Won } from './leadership.js'
import type { Settings } from './options.js'
import type { Outlook } from './outlook.js'
import type { Picture } from './picture.js'
import { countLead, waitOf } from './spread.js'

/** What a candidacy is part of. */
export interface CandidacyContext {
  readonly coordinator: Coordinator
  readonly keys: ElectionKeys
  readonly settings: Settings
  readonly outlook: Outlook
  readonly closing: AbortSignal
  /** It has come into line. What is seen of that may have been there before the answer. */
  readonly placed: () => void
}

/** One candidate from coming into line to leading, with one lease and under one id. */
export class Candidacy {
  readonly #context: CandidacyContext
  readonly #lease: Lease
  /** Whether it may ask a leader to hand over. */
  readonly #preempts: boolean
  #place: Place | undefined

  constructor(context: CandidacyContext, lease: Lease, preempts: boolean) {
    this.#context = context
    this.#lease = lease
    this.#preempts = preempts
  }

  /** Its place in line, from 1; undefined if it is in none. */
  get place(): number | undefined {
    const index = this.#context.outlook.picture?.candidates.findIndex(({ key }) => key === this.#place?.key)
    return index === undefined || index < 0 ? undefined : index + 1
  }

  /** Waits in line until it leads; undefined if that came to nothing. */
  async win(): Promise<Won | undefined> {
    const { coordinator, keys, settings, closing } = this.#context
    if (settings.algorithm === 'record') return this.#winAs(ownId(this.#lease))
    const line = { coordinator, prefix: keys.candidates, value: () => this.#candidateValue() }
    const place = await take(line, this.#lease, closing)
    if (!place) return undefined
    this.#place = place
    this.#context.placed()
    let won: Won | undefined
    try {
      won = await this.#winAs(place.key.slice(keys.candidates.length))
    } finally {
      this.#place = undefined
      const left = won?.place ? undefined : leave(coordinator, place)
      if (!won) await left
    }
    return won
  }

  async #winAs(id: string): Promise<Won | undefined> {
    const { coordinator, keys, outlook } = this.#context
    const attempt = new Attempt(coordinator, keys.leader, this.#lease, id)
    const forget = onAbort(this.#lease.signal, outlook.wake)
    let won: Won | undefined
    try {
      while (!won && this.#isUp()) {
        const wait = this.#turnIn(attempt)
        if (wait > 0) await outlook.change(wait)
        else won = await this.#try(attempt)
      }
      return this.#isUp() ? won : undefined
    } finally {
      forget()
      // Also of what may still come of it.
      if (!won || !this.#isUp()) {
        if (won) countLead(coordinator, -1)
        void attempt.disown(won?.revision)
      }
    }
  }

  async #try(attempt: Attempt): Promise<Won | undefined> {
    const { coordinator, settings, closing } = this.#context
    const since = coordinator.runtime.clock.wall()
    // Others of this process, whose turn it is at the same moment, see that this one is about to.
    countLead(coordinator, 1)
    const place = settings.algorithm === 'line' ? this.#place : undefined
    let revision: number | undefined
    try {
      revision = await attempt.put(leaderValue(settings, attempt.id, since, place?.created), closing)
    } finally {
      if (revision === undefined) countLead(coordinator, -1)
    }
    if (revision === undefined) return undefined
    const { id, doubtful } = attempt
    return { lease: this.#lease, id, token: place?.created ?? revision, revision, place, since, doubtful }
  }

  /** Whether it is still a candidate: its election, its lease, and its key. */
  #isUp(): boolean {
    const { closing, outlook, settings } = this.#context
    if (closing.aborted || !this.#lease.held) return false
    const place = this.#place
    if (!place || !outlook.picture || outlook.picture.revision < place.created) return true
    // Somebody has led who stood behind it, or in no line at all: it could not lead with a higher token any more.
    if (settings.algorithm === 'line' && outlook.highest > place.created) return false
    return outlook.picture.line.has(place.key)
  }

  /** How long until it may try to lead, in ms. */
  #turnIn({ id, beaten }: Attempt): number {
    const { coordinator, settings, outlook } = this.#context
    const { picture, vacancy } = outlook
    if (!picture || picture.revision < beaten) return Infinity
    // It came of a put of its own whose outcome was not known.
    if (picture.leader) return picture.leader.id === id ? 0 : Infinity
    if (settings.algorithm === 'line') return this.#isFirst(picture) ? 0 : Infinity
    const { ttl } = this.#lease
    const wait = waitOf(coordinator, settings, ttl, picture, this.#place?.key, vacancy.chance)
    return vacancy.since + wait - coordinator.runtime.clock.now()
  }

  /** Once it is so it stays so, as whoever comes is behind it: a picture may be old, but not from before it came. */
  #isFirst({ revision, line }: Picture): boolean {
    const { key, created } = this.#place!
    if (revision < created) return false
    for (const [other, since] of line) if (since < created && other !== key) return false
    return true
  }

  #candidateValue(): string {
    const { settings, coordinator } = this.#context
    const { holder, priority, preferred, zone } = settings
    const since = coordinator.runtime.clock.wall()
    return JSON.stringify({ holder, since, priority, preferred, zone, preempt: this.#preempts })
  }
}

/**
 * What the key of a leader has.
 *
 * @param token - unless it is the revision of this key
 */
export function leaderValue(settings: Settings, id: string, since: number, token?: number): string {
  const { holder, value, priority, preferred, algorithm } = settings
  const race = algorithm === 'record'
  return JSON.stringify({ holder, since, id, token, priority, preferred, race, value })
}
