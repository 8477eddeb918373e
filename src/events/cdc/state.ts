import type { Appended, EventLog, StreamAppend } from '../log.js'
import type { SourceIdentity } from './source.js'

/** How far a capture is: the last event of its state stream. */
export interface CaptureState {
  /** Number of the snapshot that it goes on from; 0 before the first. */
  readonly generation: number
  /** `snapshot`: one has begun and is not complete. */
  readonly phase: 'new' | 'snapshot' | 'streaming' | 'removed'
  /** Whatever was committed before this place is in the log. */
  readonly lsn: string
  /** The transaction behind that place of which so many changes are in the log already. */
  readonly within?: { readonly lsn: string; readonly changes: number } | undefined
  readonly system?: Pick<SourceIdentity, 'system' | 'timeline' | 'database'>
  /** By name as configured: what the source knows it by, and a digest of its columns. */
  readonly tables: Readonly<Record<string, { readonly id: number; readonly shape: string }>>
}

const NEW: CaptureState = { generation: 0, phase: 'new', lsn: '0/0', tables: {} }
const TYPE = 'CaptureMoved'
/** After so many commits those before are of no use to anybody. */
const TRUNCATE_EVERY = 1000

/** Somebody else has moved the capture on: what this process knows of it is old. */
export class MovedError extends Error {
  constructor(name: string) {
    super(`another process captures as ${name}`)
  }
}

export function stateStreamOf(name: string): string {
  return `$cdc-${name}`
}

/**
 * The state of a capture in the log. Each commit says how far it brings the capture, and expects the one before: so changes
 * and state are appended together or not at all, and whoever was thought to be dead appends nothing more.
 */
export class StateStream {
  readonly stream: string
  readonly #name: string
  readonly #log: EventLog
  #state: CaptureState
  #revision: number | 'none'
  #truncated: number

  private constructor(name: string, log: EventLog, state: CaptureState, revision: number | 'none') {
    this.stream = stateStreamOf(name)
    this.#name = name
    this.#log = log
    this.#state = state
    this.#revision = revision
    this.#truncated = revision === 'none' ? 0 : revision
  }

  static async load(name: string, log: EventLog): Promise<StateStream> {
    const stream = stateStreamOf(name)
    for await (const event of log.read({ stream }, { backwards: true, limit: 1 }))
      return new StateStream(name, log, event.data as CaptureState, event.revision)
    const revision = await log.revision(stream)
    // If somebody has truncated it, its generations are still never given out twice.
    const state = revision === 'none' ? NEW : { ...NEW, generation: revision + 1 }
    return new StateStream(name, log, state, revision)
  }

  get state(): CaptureState {
    return this.#state
  }

  /**
   * Appends events together with where they bring the capture.
   *
   * @throws {@link MovedError}; what `append` throws
   */
  async commit(streams: readonly StreamAppend[], next: CaptureState): Promise<Appended> {
    const own = { stream: this.stream, expected: this.#revision, events: [{ type: TYPE, data: next }] }
    let result
    try {
      result = await this.#log.append({ id: this.idOf(next), streams: [...streams, own] })
    } catch (error) {
      // The same place was reached by somebody else, with other events.
      if ((error as { code?: unknown }).code === 'BANYAN_COMMIT_OVERLAP') throw new MovedError(this.#name)
      throw error
    }
    if (!result.ok) throw new MovedError(this.#name)
    this.#revision = this.#nextRevision
    this.#state = next
    if (this.#revision - this.#truncated >= TRUNCATE_EVERY) await this.#truncate(this.#revision)
    return result
  }

  /** Whether the log would take events; appends nothing. */
  async probe(streams: readonly StreamAppend[]): Promise<Error | undefined> {
    const impossible = this.#revision === 'none' ? 'exists' : 'none'
    try {
      await this.#log.append({ streams, checks: [{ stream: this.stream, expected: impossible }] })
      return undefined
    } catch (error) {
      if (isRefusal(error)) return error as Error
      throw error
    }
  }

  /** Of the commit that brings the capture to a place: from the slot's name, its snapshot, and that place. */
  idOf({ generation, lsn }: CaptureState): string {
    return `cdc/${this.#name}/${generation}/${lsn}/${this.#nextRevision}`
  }

  get #nextRevision(): number {
    return this.#revision === 'none' ? 0 : this.#revision + 1
  }

  async #truncate(beforeRevision: number): Promise<void> {
    await this.#log.truncate({ stream: this.stream, beforeRevision, forget: true })
    this.#truncated = beforeRevision
  }
}

const REFUSALS = new Set([
  'BANYAN_INVALID_EVENT',
  'BANYAN_INVALID_COMMIT',
  'BANYAN_EVENT_TOO_LARGE',
  'BANYAN_UNKNOWN_EVENT_TYPE',
  'BANYAN_EVENT_NEWER',
  'BANYAN_SUBJECT_FORGOTTEN',
])

/** Whether the log says that it will never take an event, as it is. */
export function isRefusal(error: unknown): boolean {
  return REFUSALS.has(String((error as { code?: unknown } | undefined)?.code))
}
