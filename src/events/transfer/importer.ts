import { createHash } from 'node:crypto'
import { BanyanError } from '../../core/errors.js'
import { START } from '../position.js'
import type { AppendResult, Conflict, EventLog, Position } from '../log.js'
import { atLine, type FileAppend, type FileCommit } from './commits.js'
import { ExpectedRevisions } from './expected-revisions.js'
import type { ImportResult } from './import-result.js'

/** Text of commits that may be on its way. */
const IN_FLIGHT_LENGTH = 16 * 1024 * 1024
/** What became of an append; errors too, so that none is unheard while others are looked at. */
type Answer = { result: AppendResult } | { error: unknown }

interface InFlight {
  readonly file: FileCommit
  readonly doubtful: boolean
  readonly answer: Promise<Answer>
}

/**
 * Appends commits in their order, many on their way at the same time.
 *
 * A commit that conflicts must not be overtaken by later ones. So the revision of each stream is looked at first: a commit
 * that fits is sent at once; one that does not fit is doubtful: it was imported before, or it conflicts. The log appends no
 * doubtful commit, so any number of them may be on their way, and the next that fits waits for their answers.
 */
export class Importer {
  readonly #log: EventLog
  readonly #dryRun: boolean
  readonly #limit: number
  readonly #waiting: InFlight[] = []
  #waitingLength = 0
  #doubtful = 0
  readonly #revisions: ExpectedRevisions
  #events = 0
  #commits = 0
  #duplicates = 0
  #skipped = 0
  #position: Position = START
  #failed = false
  #conflict: { line: number; conflicts: readonly Conflict[] } | undefined

  static async open(log: EventLog, options: { dryRun: boolean; inFlight: number }): Promise<Importer> {
    return new Importer(log, options, (await log.head()) === START)
  }

  private constructor(
    log: EventLog,
    { dryRun, inFlight }: { dryRun: boolean; inFlight: number },
    empty: boolean,
  ) {
    this.#log = log
    this.#dryRun = dryRun
    this.#limit = inFlight
    this.#revisions = new ExpectedRevisions(log, empty)
  }

  get result(): ImportResult {
    const counts = {
      events: this.#events,
      commits: this.#commits,
      duplicates: this.#duplicates,
      skipped: this.#skipped,
      position: this.#position,
    }
    return this.#conflict ? { ok: false, ...this.#conflict, ...counts } : { ok: true, ...counts }
  }

  /** Takes the next commit. @returns false once there was a conflict: the rest is not wanted */
  async add(file: FileCommit): Promise<boolean> {
    this.#skipped += file.skipped
    if (file.events === 0) return this.#conflict === undefined
    const doubtful = await this.#isDoubtful(file.commit)
    if (this.#dryRun) await this.#tryDry(file, doubtful)
    else {
      if (!doubtful && this.#doubtful > 0) await this.#settle(0, 0)
      await this.#settle(this.#limit - 1, IN_FLIGHT_LENGTH)
      if (this.#conflict) return false
      this.#send(file, doubtful)
    }
    return this.#conflict === undefined
  }

  /** Waits for everything on its way. After an error it only waits: that error is what counts. */
  async finish(): Promise<void> {
    if (this.#failed) await Promise.all(this.#waiting.map((one) => one.answer))
    else await this.#settle(0, 0)
  }

  #send(file: FileCommit, doubtful: boolean): void {
    this.#waiting.push({ file, doubtful, answer: this.#append(file.commit) })
    this.#waitingLength += file.length
    if (doubtful) this.#doubtful++
    else this.#revisions.advance(file.commit)
  }

  #append(commit: FileAppend): Promise<Answer> {
    const streams = commit.streams.map(({ stream, expected, events }) => ({ stream, expected, events }))
    return this.#log.append({ id: commit.id, streams }).then(
      (result) => ({ result }),
      (error: unknown) => ({ error }),
    )
  }

  /** Waits until at most this many commits with this much text are on their way. */
  async #settle(count: number, length: number): Promise<void> {
    while (this.#waiting.length > 0 && (this.#waiting.length > count || this.#waitingLength > length)) {
      const next = this.#waiting.shift()!
      this.#forget(next)
      const answer = await next.answer
      if (!isAppended(answer)) await this.#recover(next.file, answer)
      else this.#count(next.file, answer.result)
    }
  }

  #forget({ file, doubtful }: InFlight): void {
    this.#waitingLength -= file.length
    if (doubtful) this.#doubtful--
  }

  /** A commit was refused, and with it maybe those behind it: first it, then they, one at a time. */
  async #recover(file: FileCommit, answer: Answer): Promise<void> {
    const behind = this.#waiting.splice(0)
    for (const one of behind) this.#forget(one)
    const answers = await Promise.all(behind.map((one) => one.answer))
    await this.#resolve(file, answer)
    for (const [index, one] of behind.entries()) {
      if (this.#conflict) return
      const first = answers[index]!
      const again = isAppended(first) ? first : await this.#append(one.file.commit)
      if (isAppended(again)) this.#count(one.file, again.result)
      else await this.#resolve(one.file, again)
    }
  }

  /** What to do about a commit that was refused, with nothing else on its way. */
  async #resolve(file: FileCommit, answer: Answer): Promise<void> {
    const overlaps = 'error' in answer && isOverlap(answer.error)
    if ('error' in answer && !overlaps) throw this.#failure(file, answer.error)
    const present = await this.#present(file)
    if (present === file.events) this.#duplicates += file.events
    else if (overlaps && present === 0 && keepsRevisions(file)) await this.#appendPart(file)
    else this.#refuse(file, answer)
  }

  /**
   * Another part of the commit is in the log already: one was archived, the other exported, or each stream on its own. This
   * part becomes a commit, whose id depends on nothing but what is in it.
   */
  async #appendPart(file: FileCommit): Promise<void> {
    const { id, streams } = file.commit
    const ids = streams.flatMap(({ events }) => events.map((event) => event.id))
    const part = createHash('sha256')
      .update(JSON.stringify([id, ids]))
      .digest('hex')
    const answer = await this.#append({ id: `part-${part}`, streams })
    if (isAppended(answer)) this.#count(file, answer.result)
    else this.#refuse(file, answer)
  }

  #refuse(file: FileCommit, answer: Answer): void {
    if ('error' in answer) throw this.#failure(file, answer.error)
    if (!answer.result.ok) this.#conflict = { line: file.line, conflicts: answer.result.conflicts }
  }

  #failure(file: FileCommit, error: unknown): Error {
    this.#failed = true
    return atLine(file.line, error)
  }

  /** How many events of a commit are in the log already, at their revisions. */
  async #present(file: FileCommit): Promise<number> {
    let present = 0
    for (const { stream, events, firstRevision } of file.commit.streams) {
      if (firstRevision === undefined) continue
      const range = { fromRevision: firstRevision, toRevision: firstRevision + events.length - 1 }
      for await (const { id, revision } of this.#log.read({ stream }, range))
        if (events[revision - firstRevision]?.id === id) present++
    }
    return present
  }

  #count(
    { events, commit }: FileCommit,
    { duplicate, position }: { duplicate: boolean; position: Position },
  ): void {
    if (position > this.#position) this.#position = position
    if (duplicate) {
      this.#duplicates += events
      return
    }
    this.#events += events
    this.#commits++
    this.#revisions.advance(commit)
  }

  async #tryDry(file: FileCommit, doubtful: boolean): Promise<void> {
    if (doubtful && (await this.#present(file)) === file.events) this.#duplicates += file.events
    else if (!keepsRevisions(file) && (await this.#isKnown(file.commit.id))) this.#duplicates += file.events
    else if (doubtful) {
      const conflicts: Conflict[] = []
      for (const { stream, expected } of file.commit.streams) {
        const actual = await this.#revisions.of(stream)
        if (expected !== 'any' && expected !== actual) conflicts.push({ stream, expected, actual })
      }
      this.#conflict = { line: file.line, conflicts }
    } else {
      this.#events += file.events
      this.#commits++
      this.#revisions.advance(file.commit)
    }
  }

  /** The id of a commit is looked at before anything else, also if there is nothing to append. */
  async #isKnown(id: string): Promise<boolean> {
    const answer = await this.#append({ id, streams: [] })
    if ('error' in answer && !isOverlap(answer.error)) throw answer.error
    return 'error' in answer
  }

  async #isDoubtful({ streams }: FileAppend): Promise<boolean> {
    let doubtful = false
    for (const { stream, expected, firstRevision } of streams)
      if (firstRevision !== undefined && (await this.#revisions.of(stream)) !== expected) doubtful = true
    return doubtful
  }
}

function isAppended(answer: Answer): answer is { result: AppendResult & { ok: true } } {
  return 'result' in answer && answer.result.ok
}

function isOverlap(error: unknown): boolean {
  return error instanceof BanyanError && error.code === 'BANYAN_COMMIT_OVERLAP'
}

function keepsRevisions({ commit }: FileCommit): boolean {
  return commit.streams.every(({ firstRevision }) => firstRevision !== undefined)
}
