import type { Clock } from '../../../core/clock.js'
import { qualifiedPlural, type ResourceDefinition } from '../../resources/define.js'
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
/** After so many runs in a row that only own writes have asked for, and that write the same again: steps come to an end before. */
const OWN_RUNS = 100
/** How many resources that were written are remembered, and how many new ones runs in a row may write. */
const REMEMBERED = 1000
/** How long a key waits, from the first to the longest, in ms. */
const PAUSE = { first: 1000, longest: 5 * 60_000 }

interface Written {
  readonly uid: string
  /** What it was like when it was written last. */
  readonly content: string
  readonly version: string
  /** When that was undone and written again, in ms. */
  readonly undone: number[]
}

/** Runs of a key in a row that only own writes have asked for. */
interface Chain {
  /** How many of them have written nothing but what those before have written, too. */
  again: number
  readonly written: Set<string>
}

interface Known {
  readonly contest: Contest
  at: number
  /** How long the next pause is, and until when the last one is. */
  pause: number
  until: number
}

/** Sees a controller that fights with another one, or with itself. */
export class Contests {
  readonly #name: string
  readonly #clock: Clock
  readonly #told: (contest: Contest) => void
  readonly #written = new Map<string, Written>()
  readonly #chains = new Map<string, Chain>()
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

  /** In how many ms a contest is over if nothing is seen of it any more; undefined if there is none. */
  left(key: string): number | undefined {
    const known = this.of(key) && this.#known.get(key)
    return known && known.at + WINDOW_MS + 1 - this.#clock.now()
  }

  /** How long the next run is to wait, in ms, longer each time that one has passed; undefined if there is no contest. */
  pause(key: string): number | undefined {
    const known = this.of(key) && this.#known.get(key)
    if (!known) return undefined
    const now = this.#clock.now()
    if (now >= known.until) {
      known.until = now + known.pause
      known.pause = Math.min(known.pause * 2, PAUSE.longest)
    }
    return known.until - now
  }

  /** A run has written something. */
  wrote(key: string, { kind, resource, before }: OwnWrite): void {
    const now = this.#clock.now()
    const id = idOf(kind, resource)
    const content = fingerprint(resource, before)
    const last = this.#written.get(id)
    const { resourceVersion: version, uid } = resource.metadata
    // The cache was behind, and the write has changed nothing.
    if (last?.version === version) return
    // One that somebody else has made anew has to be written anew.
    const isOther = last?.uid !== uid && before?.metadata.uid === uid
    const isSame = last?.content === content && !isOther
    const undone = isSame ? last.undone.filter((at) => now - at <= WINDOW_MS) : []
    if (isSame) undone.push(now)
    this.#written.delete(id)
    this.#written.set(id, { uid, content, version, undone })
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
  ended(key: string, isOwn: boolean, writes: readonly OwnWrite[]): void {
    const write = writes.at(-1)
    if (!isOwn || !write) {
      this.#chains.delete(key)
      return
    }
    const chain = this.#chains.get(key) ?? { again: 0, written: new Set() }
    this.#chains.set(key, chain)
    const ids = writes.map((each) => idOf(each.kind, each.resource))
    // Who makes one thing after the other is getting somewhere.
    const isNew = chain.written.size < REMEMBERED && ids.some((id) => !chain.written.has(id))
    if (!isNew) chain.again++
    for (const id of ids) chain.written.add(id)
    if (chain.again < OWN_RUNS) return
    const resource = idOf(write.kind, write.resource)
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
    this.#known.set(contest.key, { contest, at: now, pause: PAUSE.first, until: now })
    this.#told(contest)
  }
}

function idOf(kind: ResourceDefinition, resource: Resource): string {
  return `${qualifiedPlural(kind)} ${keyOf(resource)}`
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
