import type { Clock } from '../../../core/clock.js'
import { qualifiedPlural } from '../../resources/define.js'
import type { Resource } from '../../resources/object.js'
import type { FieldSet } from '../../resources/patch/field-set.js'
import type { JsonObject } from '../../resources/patch/json.js'
import { managersOf } from '../../resources/patch/managers.js'
import { field } from '../../resources/patch/path-element.js'
import { keyOf } from '../keys.js'
import { differingFields, fingerprint } from './content.js'
import type { OwnWrite } from './own-writes.js'

/** A controller that does the same again and again, and to whom. */
export interface Contest {
  /** Of the resource that the controller looks after. */
  readonly key: string
  /**
   * `FieldConflict`: somebody undoes what it writes, and it writes it again. `OwnWrites`: nothing but its own writes has it run, and
   * it always writes something else.
   */
  readonly why: 'FieldConflict' | 'OwnWrites'
  /** What is written: `prices.shop.example default/a-x`. */
  readonly resource: string
  /** Which fields change, the first few: `spec.discount`; none if it is deleted and made again. */
  readonly fields: readonly string[]
  /** Who writes them: the controller, and the other one as far as is known. */
  readonly managers: readonly string[]
  /** For people. */
  readonly message: string
}

/** How often something is to be undone in the window for a contest: by hand nobody does it so often. */
const UNDONE = 5
const WINDOW_MS = 10 * 60_000
/** After so many runs in a row that only own writes have asked for: more than any sequence of steps has. */
const OWN_RUNS = 20
/** How many resources that were written are remembered. */
const REMEMBERED = 1000
/** How long a key waits, from the first to the longest, in ms. */
const PAUSE = { first: 1000, longest: 5 * 60_000 }

interface Written {
  /** What it was like when it was written last. */
  readonly content: string
  readonly version: string
  /** When that was undone and written again, in ms. */
  readonly undone: number[]
}

interface Known {
  readonly contest: Contest
  at: number
  pause: number
}

/** Sees a controller that fights with another one, or with itself. */
export class Contests {
  readonly #name: string
  readonly #clock: Clock
  readonly #told: (contest: Contest) => void
  readonly #written = new Map<string, Written>()
  /** Runs in a row that only own writes have asked for, by keys. */
  readonly #ownRuns = new Map<string, number>()
  readonly #known = new Map<string, Known>()

  /** @param told - of each when it begins */
  constructor(name: string, clock: Clock, told: (contest: Contest) => void) {
    this.#name = name
    this.#clock = clock
    this.#told = told
  }

  get size(): number {
    return this.#known.size
  }

  /** A contest that a key has part in; over when it has not been seen for a while. */
  of(key: string): Contest | undefined {
    const known = this.#known.get(key)
    if (known && this.#clock.now() - known.at > WINDOW_MS) this.#known.delete(key)
    return this.#known.get(key)?.contest
  }

  /** How long the next run is to wait, in ms, longer each time; undefined if there is no contest. */
  pause(key: string): number | undefined {
    const known = this.of(key) && this.#known.get(key)
    if (!known) return undefined
    const { pause } = known
    known.pause = Math.min(pause * 2, PAUSE.longest)
    return pause
  }

  /** A run has written something. */
  wrote(key: string, { kind, resource, before }: OwnWrite): void {
    const now = this.#clock.now()
    const id = `${qualifiedPlural(kind)} ${keyOf(resource)}`
    const content = fingerprint(resource)
    const last = this.#written.get(id)
    const { resourceVersion: version } = resource.metadata
    // The cache was behind, and the write has changed nothing.
    if (last?.version === version) return
    const isSame = last?.content === content
    const undone = isSame ? last.undone.filter((at) => now - at <= WINDOW_MS) : []
    if (isSame) undone.push(now)
    this.#written.delete(id)
    this.#written.set(id, { content, version, undone })
    if (this.#written.size > REMEMBERED)
      for (const [oldest] of this.#written) return void this.#written.delete(oldest)
    if (undone.length < UNDONE) return
    const fields = differingFields(before, resource)
    const other = otherManager(before, fields, this.#name)
    const what = fields.length > 0 ? `${fields.join(', ')} of ${id}` : id
    this.#see({
      key,
      why: 'FieldConflict',
      resource: id,
      fields,
      managers: [this.#name, ...(other === undefined ? [] : [other])],
      message: `${this.#name} and ${other ?? 'somebody else'} write ${what} in turns`,
    })
  }

  /** A run has ended. @param isOwn - whether only what it has written itself asks for the next one */
  ended(key: string, isOwn: boolean, write: OwnWrite | undefined): void {
    const runs = isOwn ? (this.#ownRuns.get(key) ?? 0) + 1 : 0
    if (runs === 0) this.#ownRuns.delete(key)
    else this.#ownRuns.set(key, runs)
    if (runs < OWN_RUNS || !write) return
    const resource = `${qualifiedPlural(write.kind)} ${keyOf(write.resource)}`
    const fields = differingFields(write.before, write.resource)
    const what = fields.length > 0 ? `${fields.join(', ')} of ${resource}` : resource
    this.#see({
      key,
      why: 'OwnWrites',
      resource,
      fields,
      managers: [this.#name],
      message: `${this.#name} runs again and again because of its own writes: ${what}`,
    })
  }

  #see(contest: Contest): void {
    const now = this.#clock.now()
    const known = this.of(contest.key) && this.#known.get(contest.key)
    if (known) {
      known.at = now
      return
    }
    this.#known.set(contest.key, { contest, at: now, pause: PAUSE.first })
    this.#told(contest)
  }
}

/** Who has had the fields before they were written; otherwise who else has written last. */
function otherManager(
  before: Resource | undefined,
  fields: readonly string[],
  own: string,
): string | undefined {
  const managed = managersOf(before as unknown as JsonObject | undefined) ?? []
  const others = managed.filter(({ manager }) => manager !== own)
  const owner = others.find((each) => fields.some((path) => isIn(each.fields, path.split('.'))))
  const last = others.toSorted((a, b) => (b.time ?? '').localeCompare(a.time ?? ''))[0]
  return (owner ?? last)?.manager
}

function isIn(set: FieldSet, [first, ...rest]: readonly string[]): boolean {
  if (first === undefined) return false
  return rest.length === 0
    ? set.has(field(first)) || !set.below(field(first)).empty
    : isIn(set.below(field(first)), rest)
}
