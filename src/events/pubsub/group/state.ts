import type { Position, RecordedEvent } from '../../log.js'
import { balance } from './balance.js'
import type { Terms } from './terms.js'

/** What stands in the stream of a group: everything about a subscription that is not about single partitions. */
export type GroupEvent =
  | { type: 'Created'; data: { topic: string; from: Position; partitions: number; terms?: Terms } }
  /** Whoever takes part from now on does it so. */
  | { type: 'Changed'; data: { terms: Terms } }
  | { type: 'Joined'; data: { member: string } }
  /** `by` another one if it does not answer. */
  | { type: 'Left'; data: { member: string; by?: string } }
  /** Whoever is asked must answer, or is taken to be gone. */
  | { type: 'Asked'; data: { members: readonly string[]; by: string } }
  | { type: 'Answered'; data: { member: string } }
  /** A partition can be claimed. */
  | { type: 'Freed'; data: { partition: number } }
  /** Somebody has written to the ledgers of partitions. */
  | { type: 'Told'; data: { partitions: readonly number[] } }
  | { type: 'Paused'; data: Record<string, never> }
  | { type: 'Resumed'; data: Record<string, never> }
  /** Everything, in place of all before it. */
  | { type: 'Kept'; data: KeptGroup }
  /** It is not there any more, until it is created anew: whoever takes part ends. */
  | { type: 'Deleted'; data: Record<string, never> }

/** A {@link GroupState} as JSON. */
export interface KeptGroup {
  readonly topic: string
  readonly from: Position
  readonly isPaused: boolean
  readonly terms?: Terms
  readonly members: readonly string[]
  /** Null: given to nobody. */
  readonly partitions: readonly (string | null)[]
}

/** Who works on a subscription, and on which of its partitions. */
export class GroupState {
  topic = ''
  from: Position = ''
  isPaused = false
  /** How its members follow the topic; undefined if none has said. */
  terms: Terms | undefined
  /** In the order in which they came. */
  members: string[] = []
  /** Which member each partition is given to; undefined also if a shard map assigns them. */
  partitions: readonly (string | undefined)[] = []
  /** Members that have not answered yet, with the revision of the question. */
  readonly asked = new Map<string, number>()
  /** The last event that is in it. */
  revision: number | 'none' = 'none'

  get isCreated(): boolean {
    return this.partitions.length > 0
  }

  apply(event: GroupEvent & Pick<RecordedEvent, 'revision'>): void {
    this.revision = event.revision
    switch (event.type) {
      case 'Created':
        this.topic = event.data.topic
        this.from = event.data.from
        this.terms = event.data.terms
        this.partitions = Array.from({ length: event.data.partitions }, () => undefined)
        // Who has come to the one of this name that was deleted meanwhile.
        this.members = []
        this.asked.clear()
        return
      case 'Changed':
        this.terms = event.data.terms
        return
      case 'Joined':
        this.members.push(event.data.member)
        this.#share()
        return
      case 'Left': {
        const index = this.members.indexOf(event.data.member)
        if (index === -1) return
        this.members.splice(index, 1)
        this.asked.delete(event.data.member)
        this.#share()
        return
      }
      case 'Asked':
        for (const member of event.data.members)
          if (!this.asked.has(member)) this.asked.set(member, event.revision)
        return
      case 'Answered':
        this.asked.delete(event.data.member)
        return
      case 'Paused':
        this.isPaused = true
        return
      case 'Resumed':
        this.isPaused = false
        return
      case 'Kept':
        this.topic = event.data.topic
        this.from = event.data.from
        this.isPaused = event.data.isPaused
        this.terms = event.data.terms
        this.members = [...event.data.members]
        this.partitions = event.data.partitions.map((member) => member ?? undefined)
        return
      case 'Deleted':
        this.isPaused = false
        this.members = []
        this.partitions = []
        this.asked.clear()
        return
      case 'Freed':
      case 'Told':
    }
  }

  /** Shares partitions evenly, unless they are assigned. */
  #share(): void {
    if (this.terms?.assignment === undefined) this.partitions = balance(this.partitions, this.members)
  }

  kept(): KeptGroup {
    const { topic, from, isPaused, terms, members } = this
    const partitions = this.partitions.map((member) => member ?? null)
    return { topic, from, isPaused, ...(terms && { terms }), members, partitions }
  }
}
