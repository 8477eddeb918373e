import { eventError } from '../errors.js'
import type { EventLog, EventShape, Recorded, RecordedEvent } from '../log.js'

/** A command as its stream tells of it. */
interface Step<Event extends EventShape> {
  readonly command: string
  /** The command that it is about: the one that it undoes or redoes, else itself. */
  readonly about: string
  readonly is: 'command' | 'undo' | 'redo'
  /** In their order. */
  readonly events: readonly Recorded<Event>[]
  /** Events before these were truncated; some of them may have been of this command. */
  readonly mayBeCut: boolean
}

/** What an undo or a redo has to do with a command. */
export interface Task<Event extends EventShape> {
  readonly does: 'undo' | 'redo'
  /** The command that is undone or redone. */
  readonly command: string
  /** What happened when it was handled, or redone, the last time; in order. */
  readonly events: readonly Recorded<Event>[]
}

/**
 * Which commands of a stream are done and which are undone, as the metadata of its events tell: nothing else is kept. Read
 * from the end, so that it costs as much as what lies between the end and the answer.
 */
export class UndoHistory<Event extends EventShape> {
  readonly #stream: string
  readonly #steps: AsyncGenerator<Step<Event>, void, undefined>
  /** The last step about each command, which says how it is now. */
  readonly #last = new Map<string, Step<Event>>()

  /** @param revision - how it was after this event */
  constructor(log: EventLog, stream: string, revision: number | 'none') {
    this.#stream = stream
    this.#steps = stepsBackwards(log, stream, revision)
  }

  /** The last command that is done: what an undo takes back. */
  async lastDone(): Promise<Task<Event> | undefined> {
    for await (const step of this.#read())
      if (step.is !== 'undo' && this.#last.get(step.about) === step)
        return { does: 'undo', command: step.about, events: this.#whole(step) }
    return undefined
  }

  /** The last command that was undone, if no other has come since: what a redo does again. */
  async lastUndone(): Promise<Task<Event> | undefined> {
    for await (const step of this.#read()) {
      if (step.is === 'command') return undefined
      if (step.is === 'undo' && this.#last.get(step.about) === step) return this.#redo(step.about)
    }
    return undefined
  }

  /**
   * What takes one command back, or one undo.
   *
   * @throws `BANYAN_NOT_UNDOABLE` if it is not there, or was taken back already
   */
  async of(command: string): Promise<Task<Event>> {
    for await (const step of this.#read()) {
      if (step.command !== command) continue
      const now = this.#last.get(step.about)!
      const stands = step.is === 'command' ? now.is !== 'undo' : now === step
      if (!stands)
        throw this.#refused(`${command} was taken back already; the last that is about it is ${now.command}`)
      if (step.is === 'undo') return this.#redo(step.about)
      return { does: 'undo', command: step.about, events: this.#whole(now) }
    }
    throw this.#refused(`no event of it came with a command ${command}`)
  }

  /** Goes on to where the command was done the last time. */
  async #redo(command: string): Promise<Task<Event>> {
    for await (const step of this.#read())
      if (step.about === command && step.is !== 'undo')
        return { does: 'redo', command, events: this.#whole(step) }
    throw truncated(this.#stream, command)
  }

  /** Goes on reading where the last loop has stopped. */
  async *#read(): AsyncGenerator<Step<Event>, void, undefined> {
    for (let next = await this.#steps.next(); !next.done; next = await this.#steps.next()) {
      if (!this.#last.has(next.value.about)) this.#last.set(next.value.about, next.value)
      yield next.value
    }
  }

  close(): Promise<unknown> {
    return this.#steps.return()
  }

  #whole({ about, events, mayBeCut }: Step<Event>): readonly Recorded<Event>[] {
    if (mayBeCut) throw truncated(this.#stream, about)
    return events
  }

  #refused(why: string): Error {
    return eventError('BANYAN_NOT_UNDOABLE', `${this.#stream}: ${why}; nothing was appended`)
  }
}

/** The commits of a stream, the last first. */
async function* stepsBackwards<Event extends EventShape>(
  log: EventLog,
  stream: string,
  toRevision: number | 'none',
): AsyncGenerator<Step<Event>, void, undefined> {
  if (toRevision === 'none') return
  let events: Recorded<Event>[] = []
  for await (const event of log.read<Event>({ stream }, { toRevision, backwards: true })) {
    if (events.length > 0 && events[0]!.commit !== event.commit) {
      yield stepOf(events.reverse(), false)
      events = []
    }
    events.push(event)
  }
  if (events.length > 0) yield stepOf(events.reverse(), !isFirstOfCommit(events[0]!))
}

/** By its id, if it was given one by the log; else whoever stands before it may have been truncated. */
function isFirstOfCommit({
  id,
  commit,
  revision,
}: Pick<RecordedEvent, 'id' | 'commit' | 'revision'>): boolean {
  return revision === 0 || id === `${commit}/0`
}

function stepOf<Event extends EventShape>(
  events: readonly Recorded<Event>[],
  mayBeCut: boolean,
): Step<Event> {
  const { commit: command, metadata } = events[0]!
  const { undoes, redoes } = metadata
  if (typeof undoes === 'string') return { command, about: undoes, is: 'undo', events, mayBeCut }
  if (typeof redoes === 'string') return { command, about: redoes, is: 'redo', events, mayBeCut }
  return { command, about: command, is: 'command', events, mayBeCut }
}

function truncated(stream: string, command: string): Error {
  return eventError(
    'BANYAN_HISTORY_TRUNCATED',
    `events of the command ${command} were truncated from ${stream}: it can be neither undone nor redone`,
  )
}
