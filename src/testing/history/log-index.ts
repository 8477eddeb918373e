import type { Position } from '../../events/log.js'
import type { SeenEvent } from './history.js'

/** The final log, in order of positions, with what is needed to find something in it. */
export class LogIndex {
  readonly events: readonly SeenEvent[]
  /** Places in `events` of each commit. */
  readonly commits = new Map<string, number[]>()

  constructor(events: readonly SeenEvent[]) {
    this.events = isRising(events) ? events : [...events].sort((a, b) => (a.position < b.position ? -1 : 1))
    for (let place = 0; place < this.events.length; place++) {
      const { commit } = this.events[place]!
      const places = this.commits.get(commit)
      if (places) places.push(place)
      else this.commits.set(commit, [place])
    }
  }

  /** The place of the first event behind a position. */
  behind(position: Position): number {
    let low = 0
    let high = this.events.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.events[middle]!.position <= position) low = middle + 1
      else high = middle
    }
    return low
  }

  /** The same event, wherever it is. */
  find({ commit, id }: SeenEvent): SeenEvent | undefined {
    const place = this.commits.get(commit)?.find((each) => this.events[each]!.id === id)
    return place === undefined ? undefined : this.events[place]
  }
}

/** An event for people. */
export function describe({ stream, revision, position, commit, id }: SeenEvent): string {
  return `event ${id} of commit ${commit}, ${stream}@${revision} at ${position}`
}

function isRising(events: readonly SeenEvent[]): boolean {
  for (let place = 1; place < events.length; place++)
    if (events[place - 1]!.position >= events[place]!.position) return false
  return true
}
