import type { EventLog, Recorded } from '../../src/events/index.js'
import { streamOf } from '../../src/events/saga/names.js'
import { SAGA_TYPES, type SagaEvent } from '../../src/events/saga/records.js'
import { SagaState } from '../../src/events/saga/state.js'

/** What has happened to sagas, also to those that were removed since. */
export class Journals {
  readonly #log: EventLog
  readonly #events = new Map<string, Recorded<SagaEvent>[]>()
  #position = '0'

  constructor(log: EventLog) {
    this.#log = log
  }

  /** Sees everything as it comes, before anybody can remove it. */
  async follow(signal: AbortSignal): Promise<void> {
    for await (const { events } of this.#log.follow<SagaEvent>({ types: SAGA_TYPES }, { signal }))
      for (const event of events) this.#add(event)
  }

  /** Streams of sagas. */
  async streams(): Promise<string[]> {
    for await (const event of this.#log.read<SagaEvent>({ types: SAGA_TYPES }, { from: this.#position })) {
      this.#position = event.position
      this.#add(event)
    }
    return [...this.#events.keys()].sort()
  }

  eventsOf(stream: string): readonly Recorded<SagaEvent>[] {
    return this.#events.get(stream) ?? []
  }

  stateOf(stream: string): SagaState {
    const state = new SagaState()
    for (const event of this.eventsOf(stream)) state.apply(event)
    return state
  }

  #add(event: Recorded<SagaEvent>): void {
    if (!event.stream.startsWith('$saga/')) return
    const events = this.#events.get(event.stream)
    if (!events) this.#events.set(event.stream, [event])
    else if (event.revision > events.at(-1)!.revision) events.push(event)
  }
}

/** What is not at its end is there as a whole, and what was removed had ended, with the one that it belongs to. */
export async function checkKept(
  log: EventLog,
  journals: Journals,
  stream: string,
  { keepEnded, isCut }: { keepEnded: number | undefined; isCut: boolean },
): Promise<void> {
  const revisions: number[] = []
  for await (const { revision } of log.read({ stream })) revisions.push(revision)
  const { end, started } = journals.stateOf(stream)
  const parent = started?.parent && journals.stateOf(streamOf(started.parent.id))
  const isWhole = revisions[0] === 0 && revisions.length === journals.eventsOf(stream).length
  if (isWhole) return
  if (!end || (parent && !parent.end))
    throw new Error(`${stream} is not at its end, and of it is left ${revisions.join()}`)
  if (keepEnded === undefined && !isCut) throw new Error(`${stream} was removed, and is to be kept`)
}
