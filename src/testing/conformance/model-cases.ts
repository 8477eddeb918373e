import assert from 'node:assert/strict'
import { BanyanError } from '../../core/errors.js'
import { seededRandom } from '../../core/random.js'
import type {
  Commit,
  EventLog,
  Expected,
  Position,
  ReadOptions,
  Selector,
  Truncation,
} from '../../events/log.js'
import { categoryOf } from '../../events/names.js'
import { choices, freshSeed, replayHint, seedOfEnvironment, type Choices } from '../seed.js'
import { collect, place } from './kit.js'
import { Model, type ModelEvent } from './model.js'
import type { CaseDefinition, Trial } from './setup.js'

const STREAMS = ['a-1', 'a-2', 'a', 'A-1', 'aa-1', "it's-1", '$state-1']
const VALUES = [null, 'a\u0000', '', 1.5, { deep: [true] }]
const TYPES = ['Opened', 'Changed', 'Closed']
const TAGS = ['x', 'y', 'z']
const OPERATIONS = 250

type NamedCommit = Commit & { id: string; streams: NonNullable<Commit['streams']> }

/** Random operations on a log and on the model of it: every answer of the one must be that of the other. */
class Comparison {
  readonly #model = new Model()
  readonly #made: NamedCommit[] = []
  /** Where the log said that a commit is. */
  readonly #answered = new Map<string, Position>()
  readonly #steps: string[] = []
  readonly #random: Choices
  readonly #several: boolean
  log: EventLog
  #number = 0

  constructor(log: EventLog, random: Choices, several: boolean) {
    this.log = log
    this.#random = random
    this.#several = several
  }

  /** What was done, for the message of a failure. */
  get steps(): string {
    return this.#steps.slice(-12).join('\n')
  }

  async step(): Promise<void> {
    const { chance, below } = this.#random
    if (chance(0.5))
      await this.#append(Array.from({ length: chance(0.7) ? 1 : 1 + below(6) }, () => this.#commit()))
    else if (chance(0.6)) await this.#read()
    else if (chance(0.5)) await this.#compareStreams()
    else if (chance(0.5)) await this.#truncate()
    else await this.#hold()
  }

  #commit(): NamedCommit {
    const { chance, pick, below } = this.#random
    if (chance(0.15) && this.#made.length > 0) {
      const made = pick(this.#made)
      // The same again, or another one under its id.
      return chance(0.6)
        ? made
        : { ...made, streams: made.streams.map((append) => ({ ...append, stream: 'stolen-1' })).slice(0, 1) }
    }
    const id = `c${this.#number++}`
    const names = STREAMS.filter(() => chance(0.3)).slice(0, this.#several ? 4 : 1)
    const written = names.filter(() => (this.#several ? chance(0.7) : true))
    const commit = {
      id,
      streams: written.map((stream) => ({
        stream,
        expected: this.#expected(stream),
        events: Array.from({ length: 1 + below(3) }, () => ({
          ...(chance(0.1) && { id: `e${below(60)}` }),
          type: pick(TYPES),
          data: chance(0.8) ? { number: below(1000) } : pick(VALUES),
          tags: TAGS.filter(() => chance(0.3)),
        })),
      })),
      checks: names
        .filter((name) => !written.includes(name))
        .map((stream) => ({ stream, expected: this.#expected(stream) })),
    }
    const ids = commit.streams.flatMap(({ events }) => events.flatMap((event) => event.id ?? []))
    if (new Set(ids).size < ids.length) return this.#commit()
    this.#made.push(commit)
    return commit
  }

  #expected(stream: string): Expected {
    const { chance, pick, below } = this.#random
    const actual = this.#model.revision(stream)
    if (chance(0.85)) return actual === 'none' ? pick(['any', 'none']) : pick(['any', 'exists', actual])
    return pick(['none', 'exists', below(10)])
  }

  async #append(commits: readonly NamedCommit[]): Promise<void> {
    const before = this.#model.events.length
    this.#steps.push(`append ${JSON.stringify(commits)}`)
    const results = commits.map((commit) =>
      this.log.append(commit).catch((error: unknown) => {
        if (error instanceof BanyanError && error.code === 'BANYAN_COMMIT_OVERLAP') return 'overlap' as const
        throw error
      }),
    )
    for (const [index, commit] of commits.entries()) {
      const wanted = this.#model.append(commit)
      const result = await results[index]!
      if (wanted === 'refused' && (result === 'overlap' || !result.ok)) continue
      if (result === 'overlap' || typeof wanted === 'string' || !result.ok || !wanted.ok) {
        assert.deepEqual(sorted(result), sorted(wanted), `append ${JSON.stringify(commit)}`)
        continue
      }
      const { position, ...rest } = result
      assert.deepEqual(rest, wanted, `append ${JSON.stringify(commit)}`)
      const before = this.#answered.get(commit.id)
      if (before !== undefined && commit.streams.length > 0)
        assert.equal(position, before, `append ${JSON.stringify(commit)} again`)
      this.#answered.set(commit.id, position)
    }
    const added = this.#model.events.slice(before)
    if (added.length === 0) return
    const found = await collect(this.log.read({}, { backwards: true, limit: added.length }))
    assert.deepEqual(found.reverse().map(place), added.map(place), 'the end of the log')
    for (const [index, event] of added.entries()) event.position = found[index]!.position
    for (const { commit } of added)
      assert.equal(
        this.#answered.get(commit),
        added.findLast((event) => event.commit === commit)?.position,
        `the position that the append of ${commit} was answered with`,
      )
  }

  async #read(): Promise<void> {
    const { chance, pick, below } = this.#random
    const selector: Selector = {
      ...(chance(0.3) ? { stream: pick(STREAMS) } : chance(0.3) && { category: categoryOf(pick(STREAMS)) }),
      ...(chance(0.3) && { tags: TAGS.filter(() => chance(0.5)) }),
      ...(chance(0.3) && { types: [pick(TYPES), pick(TYPES)] }),
    }
    const somewhere = (): string => (this.#model.events.length > 0 ? pick(this.#model.events).position : '0')
    const options: ReadOptions = {
      backwards: chance(0.5),
      ...(chance(0.3) && { from: somewhere() }),
      ...(chance(0.3) && { to: somewhere() }),
      ...(chance(0.3) && { limit: below(10) }),
      ...(selector.stream !== undefined && chance(0.3) && { fromRevision: below(20) }),
      ...(selector.stream !== undefined && chance(0.3) && { toRevision: below(20) }),
    }
    this.#steps.push(`read ${JSON.stringify([selector, options])}`)
    const shown = ({
      id,
      stream,
      revision,
      commit,
      type,
      data,
      tags = [],
      position,
    }: Omit<ModelEvent, 'metadata'>): unknown => ({
      id,
      stream,
      revision,
      commit,
      type,
      data,
      tags,
      position,
    })
    const found = await collect(this.log.read(selector, options))
    assert.deepEqual(
      found.map(shown),
      this.#model.read(selector, options).map(shown),
      `read ${JSON.stringify([selector, options])}`,
    )
  }

  async #compareStreams(): Promise<void> {
    this.#steps.push('streams')
    const found = await collect(this.log.streams())
    const wanted = [...this.#model.streams].map(([stream, known]) => ({
      stream,
      category: categoryOf(stream),
      ...known,
    }))
    assert.deepEqual(byName(found), byName(wanted), 'streams')
    for (const stream of STREAMS) assert.equal(await this.log.revision(stream), this.#model.revision(stream))
    const { events, streams } = await this.log.stats()
    assert.deepEqual([events, streams], [this.#model.events.length, wanted.length], 'stats')
  }

  async #truncate(): Promise<void> {
    const { chance, pick, below } = this.#random
    if (this.#model.events.length < 20) return
    const upTo = this.#model.events[below(20)]!.position
    const stream = pick(STREAMS)
    const beforeRevision = (this.#model.streams.get(stream)?.firstRevision ?? 0) + below(5)
    const what: Truncation = chance(0.4)
      ? { stream, beforeRevision, ...(stream.startsWith('$') && { forget: chance(0.7) }) }
      : chance(0.5)
        ? { category: categoryOf(stream), upTo }
        : { all: true, upTo }
    this.#steps.push(`truncate ${JSON.stringify(what)}`)
    const { removed, heldBy } = await this.log.truncate(what)
    const { forgotten, ...wanted } = this.#model.truncate(what)
    assert.deepEqual({ removed, held: heldBy !== undefined }, wanted, `truncate ${JSON.stringify(what)}`)
    for (const id of forgotten) this.#answered.delete(id)
  }

  async #hold(): Promise<void> {
    const { chance, pick } = this.#random
    const name = pick(['h1', 'h2'])
    if (chance(0.5) || this.#model.events.length === 0) {
      this.#steps.push(`release ${name}`)
      await this.log.release(name)
      this.#model.holds.delete(name)
    } else {
      const { position } = pick(this.#model.events)
      this.#steps.push(`hold ${name} at ${position}`)
      await this.log.hold(name, position)
      this.#model.holds.set(name, position)
    }
    const { holds } = await this.log.stats()
    assert.deepEqual(new Map(holds.map((hold) => [hold.name, hold.position])), this.#model.holds)
  }
}

function sorted(result: unknown): unknown {
  if (typeof result !== 'object' || !result || !('conflicts' in result)) return result
  return {
    ...result,
    conflicts: [...(result.conflicts as { stream: string }[])].sort((a, b) => (a.stream < b.stream ? -1 : 1)),
  }
}

function byName<T extends { stream: string }>(list: readonly T[]): T[] {
  return [...list].sort((a, b) => (a.stream < b.stream ? -1 : 1))
}

async function compareRandomly(
  { log, another, restart, capabilities }: Trial,
  withRestarts: boolean,
): Promise<void> {
  const seed = seedOfEnvironment() ?? freshSeed()
  const random = choices(seededRandom(seed))
  const handles = [log, await another()]
  const comparison = new Comparison(log, random, capabilities.atomic === 'log')
  try {
    for (let step = 0; step < OPERATIONS; step++) {
      comparison.log = withRestarts ? comparison.log : random.pick(handles)
      if (withRestarts && random.chance(0.03)) comparison.log = await restart()
      await comparison.step()
    }
    const wrong = (await collect(comparison.log.verify())).filter(({ ok }) => !ok)
    assert.deepEqual(wrong, [], 'verify')
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw new Error(`${message}\n${replayHint(seed)}. The last operations:\n${comparison.steps}`, {
      cause: error,
    })
  }
}

/** Random operations, compared with the model. */
export const modelCases: readonly CaseDefinition[] = [
  {
    name: 'random operations give what the model gives',
    needs: ['for ever'],
    run: (trial) => compareRandomly(trial, false),
  },
  {
    name: 'random operations give what the model gives, over restarts',
    needs: ['restart', 'for ever'],
    run: (trial) => compareRandomly(trial, true),
  },
]
