import { sleep, type Clock } from '../../core/clock.js'
import { duration, formatDuration, type Duration } from '../../core/duration.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import { eventError } from '../errors.js'
import type { Position } from '../log.js'
import { changed, describeVersion, fromDamagedRow, fromRow, toRow, type Checkpoint } from './checkpoint.js'
import { isRun } from './ownership.js'
import { partsIn, wholeName, wholeOf } from './parts.js'
import { tableOf, viewOf } from './projection.js'
import { EFFECTS, viewsOf } from './setup.js'
import { MovedError, type CheckpointRow, type ReadModelStore, type StoreTransaction } from './store.js'

/** How to switch. */
export interface SwitchOptions {
  /** Switches to a version that is behind the active one or has failed, too. Default false. */
  force?: boolean
  /** How long to wait until it is not behind. Default `'10s'`. */
  timeout?: Duration
}

const OPTIONS: OptionTable<SwitchOptions> = {
  force: { kind: 'boolean', doc: 'switches to a version that is behind, too' },
  timeout: { kind: 'duration', doc: 'how long to wait until it is not behind' },
}

/** What a switch has done. */
export interface Switched {
  readonly name: string
  /** What is read from now on. */
  readonly version: number
  /** What was read until now; undefined if nothing was. */
  readonly before: number | undefined
  readonly position: Position
}

const TIMEOUT = '10s'
const LOOK_MS = 20
/** How often something is tried anew whose row has moved meanwhile. */
const TRIES = 1000

/** Which of the versions of a projection is read. */
export class Versions<Db> {
  readonly #store: ReadModelStore<Db>
  readonly #clock: Clock
  readonly #moved: (name: string) => void

  constructor(store: ReadModelStore<Db>, clock: Clock, moved: (name: string) => void) {
    this.#store = store
    this.#clock = clock
    this.#moved = moved
  }

  /** Makes another version the active one, in one transaction. */
  async switch(name: string, version: number, options: SwitchOptions = {}): Promise<Switched> {
    checkOptions('switch', OPTIONS, options)
    const timeout = duration(options.timeout ?? TIMEOUT, 'timeout')
    const until = this.#clock.now() + timeout
    for (;;) {
      const result = await this.#change(name, fromRow, (rows, transaction) => {
        const next = rows.find((row) => row.version === version)
        if (!next) throw unknown(name, version, rows)
        return this.#activate(transaction, rows, next, options.force ?? false)
      })
      if (!('behind' in result)) {
        this.#moved(name)
        return result
      }
      if (this.#clock.now() >= until) throw behind(result.behind, result.active, timeout)
      await sleep(this.#clock, LOOK_MS)
    }
  }

  /** Switches back to the version that was active before. */
  async undo(name: string, options: SwitchOptions = {}): Promise<Switched> {
    const rows = (await this.#store.read((view) => view.rows(name))).map(fromRow)
    const active = rows.find((row) => row.active)
    if (!active) throw unknown(name, undefined, rows)
    const { before } = active.details
    if (before === undefined || !rows.some(({ version }) => version === before))
      throw eventError(
        'BANYAN_PROJECTION_UNKNOWN',
        before === undefined
          ? `${describeVersion(active)} is the first that is read: there is no switch to undo`
          : `version ${before} of ${name} was dropped: there is nothing to switch back to`,
      )
    return this.switch(name, before, options)
  }

  /** Removes a version with its tables; the last one with the cursor of side effects. */
  async drop(name: string, version: number, { force = false }: { force?: boolean } = {}): Promise<void> {
    await this.#change(name, fromDamagedRow, async (rows, transaction) => {
      const row = rows.find((known) => known.version === version)
      if (!row || version === EFFECTS) throw unknown(name, version, rows)
      if (row.active && !force)
        throw eventError(
          'BANYAN_PROJECTION_BEHIND',
          `${describeVersion(row)} is the one that is read: switch to another version first, or drop it by force`,
        )
      // Of a row that was changed by hand it is not known which tables it had.
      const prefix = tableOf(name, version, '')
      const tables = await transaction.tables(prefix)
      if (row.active)
        await transaction.publish(
          [],
          tables.map((table) => viewOf(name, table.slice(prefix.length))),
        )
      await transaction.drop(tables)
      await transaction.remove(name, version, row.revision)
      for (const part of await transaction.rows())
        if (part.version === version && part.name !== name && wholeName(part.name) === name)
          await transaction.remove(part.name, version, part.revision)
      const effects = rows.find((known) => known.version === EFFECTS)
      if (effects && rows.length === 2) await transaction.remove(name, EFFECTS, effects.revision)
    })
    this.#moved(name)
  }

  async #activate(
    transaction: StoreTransaction<Db>,
    rows: readonly Checkpoint[],
    next: Checkpoint,
    force: boolean,
  ): Promise<Switched | { behind: Checkpoint; active: Checkpoint | undefined }> {
    const { name, version } = next
    const active = rows.find((row) => row.active)
    const all = await transaction.rows()
    const whole = wholeOf(next, partsIn(all, next))
    const read = active && wholeOf(active, partsIn(all, active))
    const { position } = whole
    if (active?.version === version) return { name, version, before: active.details.before, position }
    const isBehind = whole.state !== 'running' || (read !== undefined && position < read.position)
    if (isBehind && !force) return { behind: whole, active: read }
    const time = this.#clock.wall()
    if (active) await transaction.put(toRow(changed(active, time, { active: false })), active.revision)
    const details = active ? { ...next.details, before: active.version } : next.details
    await transaction.put(toRow(changed(next, time, { active: true, details })), next.revision)
    await transaction.publish(viewsOf(next), active ? viewsOf(active).map((view) => view.name) : [])
    return { name, version, before: active?.version, position }
  }

  /** Changes rows that nobody else changes meanwhile. */
  async #change<Result>(
    name: string,
    decode: (row: CheckpointRow) => Checkpoint,
    change: (rows: readonly Checkpoint[], transaction: StoreTransaction<Db>) => Promise<Result> | Result,
  ): Promise<Result> {
    for (let left = TRIES; ; left--) {
      try {
        return await this.#store.write(async (transaction) => {
          const rows: Checkpoint[] = []
          for (const { version } of await transaction.rows(name)) {
            const row = await transaction.lock(name, version)
            if (row) rows.push(decode(row))
          }
          return change(rows, transaction)
        })
      } catch (error) {
        if (!(error instanceof MovedError) || left === 0) throw error
      }
    }
  }
}

function unknown(name: string, version: number | undefined, rows: readonly Checkpoint[]): Error {
  const known = rows.filter((row) => row.version !== EFFECTS).map((row) => row.version)
  return eventError(
    'BANYAN_PROJECTION_UNKNOWN',
    known.length === 0
      ? `there is no projection ${name} in this store; it is there once it was run`
      : `there is no ${version === undefined ? 'active version' : `version ${version}`} of ${name} in this store; it has ${known.join(', ')}`,
  )
}

function behind(next: Checkpoint, active: Checkpoint | undefined, timeout: number): Error {
  const why =
    next.state === 'failed'
      ? `has stopped: ${next.details.error ?? 'it has failed'}`
      : next.state === 'rebuilding'
        ? `is still rebuilding, at position ${next.position}`
        : `is at position ${next.position}, behind version ${active!.version} at ${active!.position}`
  return eventError(
    'BANYAN_PROJECTION_BEHIND',
    `${describeVersion(next)} ${why}, and was so for ${formatDuration(timeout)}: who reads would see older data. ` +
      `${isRun(next) ? 'Wait for it' : 'Nobody runs it; run it'}, or switch by force`,
  )
}
