import { randomUUID } from 'node:crypto'
import type { DeleteResult, Entry, Expected, PutResult } from '../../../coordination/coordinator.js'
import { coordinationError } from '../../../coordination/errors.js'
import { int4Array, int8Array, textArray, uuidArray } from '../arrays.js'
import type { Connections } from '../connections.js'
import { faultOf } from '../faults.js'
import { errorOf } from './errors.js'

/** How many changes one transaction makes, at most. */
const MOST = 256
/** How many characters of values it takes, at least one value. */
const MOST_CHARACTERS = 4 * 1024 * 1024

/** What `change` calls them. */
const KINDS = { put: 0, delete: 1, end: 2 } as const

/** One change. */
interface Change {
  readonly kind: keyof typeof KINDS
  readonly key?: string
  readonly value?: string
  readonly expected?: Expected
  readonly lease?: string | undefined
}

interface Waiting {
  readonly change: Change
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: unknown) => void
}

/** What `change` answers for one. */
type Answer =
  | [kind: 0, revision?: number | null, created?: number | null]
  | [kind: 1, revision?: number, created?: number, lease?: string | null, value?: string]
  | [kind: 2]

/**
 * Changes keys. What is asked for while a group of changes is under way goes together in the next: one call, one transaction,
 * one wait for the disk, each with its own result.
 */
export class Writer {
  readonly #connections: Connections
  readonly #statement: string
  readonly #known: () => number
  readonly #wrote: (revision: number) => void
  #waiting: Waiting[] = []
  #running = false

  /**
   * @param known - the last revision that this process has heard of
   * @param wrote - is told of the last revision of each group
   */
  constructor(
    connections: Connections,
    schema: string,
    known: () => number,
    wrote: (revision: number) => void,
  ) {
    this.#connections = connections
    this.#statement = `SELECT "${schema}".change($1, $2, $3, $4, $5, $6, $7, $8)`
    this.#known = known
    this.#wrote = wrote
  }

  async put(key: string, value: string, expected: Expected, lease: string | undefined): Promise<PutResult> {
    const answer = await this.#add({ kind: 'put', key, value, expected, lease })
    if (answer[0] === 2)
      throw coordinationError(
        'BANYAN_LEASE_LOST',
        `${key} was not set: the lease ${lease} has expired or was released`,
      )
    if (answer[0] === 1) return { ok: false, actual: entryOf(key, answer) }
    return { ok: true, revision: answer[1]!, created: answer[2]! }
  }

  async delete(key: string, expected: Expected): Promise<DeleteResult> {
    const answer = await this.#add({ kind: 'delete', key, expected })
    if (answer[0] === 1) return { ok: false, actual: entryOf(key, answer) }
    return { ok: true, revision: answer[1] ?? undefined }
  }

  async end(lease: string): Promise<void> {
    await this.#add({ kind: 'end', lease })
  }

  #add(change: Change): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ change, resolve, reject })
      if (!this.#running) void this.#run()
    })
  }

  async #run(): Promise<void> {
    this.#running = true
    // What is asked for in the same turn goes along.
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      const group = this.#waiting.splice(0, this.#size())
      try {
        const answers = await this.#send(group.map(({ change }) => change))
        this.#wrote(Math.max(...answers.map(([kind, revision]) => (kind === 0 ? (revision ?? 0) : 0))))
        for (const [index, { resolve }] of group.entries()) resolve(answers[index]!)
      } catch (error) {
        for (const { reject } of group) reject(error)
      }
    }
    this.#running = false
  }

  /** How many of those that wait are the next group. */
  #size(): number {
    let characters = 0
    let size = 0
    for (const { change } of this.#waiting) {
      characters += change.value?.length ?? 0
      if (size > 0 && (size === MOST || characters > MOST_CHARACTERS)) break
      size++
    }
    return size
  }

  /**
   * Sends changes until their outcome is known. A try whose connection was lost may still be on its way: the next one
   * forbids it, by its name, and finds what it has changed, in the same transaction. So what is answered then stays true.
   */
  #send(group: readonly Change[]): Promise<Answer[]> {
    const { place } = this.#connections
    const parameters = parametersOf(group)
    const lost: string[] = []
    return this.#connections.patiently(
      async () => {
        const attempt = randomUUID()
        try {
          const [[answer] = []] = await this.#connections.ask(this.#statement, [
            this.#known(),
            attempt,
            uuidArray(lost),
            ...parameters,
          ])
          return JSON.parse(answer!) as Answer[]
        } catch (error) {
          if (faultOf(error) === 'lost') lost.push(attempt)
          throw error
        }
      },
      (error) => {
        if (lost.length === 0) return errorOf(error, place)
        return coordinationError(
          'BANYAN_OUTCOME_UNKNOWN',
          `the connection to PostgreSQL at ${place} was lost during a change, and what came of it could not be found out`,
          error,
        )
      },
    )
  }
}

function parametersOf(group: readonly Change[]): Buffer[] {
  return [
    int4Array(group.map(({ kind }) => KINDS[kind])),
    textArray(group.map(({ key }) => key)),
    textArray(group.map(({ value }) => value)),
    int8Array(group.map(({ expected = 'any' }) => expectedCode(expected))),
    textArray(group.map(({ lease }) => lease)),
  ]
}

/** How `change` takes what is expected. */
function expectedCode(expected: Expected): number {
  if (typeof expected === 'number') return expected
  return expected === 'any' ? -2 : -1
}

function entryOf(
  key: string,
  [, revision, created, lease, value]: Extract<Answer, { 0: 1 }>,
): Entry | undefined {
  if (revision === undefined) return undefined
  return { key, value: value!, revision, created: created!, ...(typeof lease === 'string' && { lease }) }
}
