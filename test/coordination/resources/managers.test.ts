import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import {
  defineResource,
  openCoordinator,
  openResources,
  type Resource,
  type ResourceApi,
} from '../../../src/coordination/index.js'
import { hasCode } from '../../../src/coordination/errors.js'
import { seededRandom, type Random } from '../../../src/core/random.js'
import { SEED, times } from '../../support/effort.js'

type Fields = Record<string, number>

const Thing = defineResource<{ fields?: Fields }>({ group: 'test.example', kind: 'Thing' })
const NAMES = ['a', 'b', 'c', 'd']
const MANAGERS = ['one', 'two']

function draw(random: Random): Fields {
  const some = NAMES.filter(() => random.next() < 0.5)
  return Object.fromEntries(some.map((name) => [name, Math.floor(random.next() * 2)]))
}

/** Two managers, somebody who does not apply, and what the two may count on. */
class World {
  readonly #api: ResourceApi
  readonly #random: Random
  readonly #name: string
  /** What each has applied last, without what was taken from it since. */
  readonly #mine = new Map<string, Fields>()

  constructor(api: ResourceApi, random: Random, name: string) {
    this.#api = api
    this.#random = random
    this.#name = name
  }

  async step(): Promise<void> {
    const kind = this.#random.next()
    if (kind < 0.6) await Promise.all(MANAGERS.map((manager) => this.#apply(manager, false)))
    else if (kind < 0.8) await this.#apply(MANAGERS[Math.floor(this.#random.next() * 2)]!, true)
    else await this.#merge()
    await this.#check()
  }

  async #apply(fieldManager: string, force: boolean): Promise<void> {
    const fields = draw(this.#random)
    const patch = { type: 'apply', patch: { spec: { fields } } } as const
    const options = { fieldManager, force }
    try {
      await this.#api.patch(Thing, { name: this.#name }, patch, options)
    } catch (error) {
      if (force || !hasCode(error, 'BANYAN_APPLY_CONFLICT')) throw error
      return
    }
    this.#mine.set(fieldManager, fields)
    if (!force) return
    this.#take(fields, fieldManager)
    const once = await this.#read()
    expect(await this.#api.patch(Thing, { name: this.#name }, patch, options)).toEqual(once)
  }

  async #merge(): Promise<void> {
    if (this.#mine.size === 0) return
    const fields = draw(this.#random)
    const patch = { type: 'merge', patch: { spec: { fields } } } as const
    await this.#api.patch(Thing, { name: this.#name }, patch, { fieldManager: 'other' })
    this.#take(fields)
  }

  /** Others have no claim to what has another value now. */
  #take(fields: Fields, by?: string): void {
    for (const [manager, mine] of this.#mine)
      if (manager !== by)
        this.#mine.set(
          manager,
          Object.fromEntries(
            Object.entries(mine).filter(([name, value]) => (fields[name] ?? value) === value),
          ),
        )
  }

  async #read(): Promise<Resource<{ fields?: Fields }>> {
    return this.#api.get(Thing, { name: this.#name })
  }

  async #check(): Promise<void> {
    if (this.#mine.size === 0) return
    const { spec, metadata } = await this.#read()
    const fields = spec.fields ?? {}
    for (const mine of this.#mine.values()) expect(fields).toMatchObject(mine)
    const owned = JSON.stringify(metadata.managedFields ?? [])
    for (const name of Object.keys(fields)) expect(owned).toContain(`"f:${name}"`)
  }
}

async function play(url: string, seeds: number): Promise<void> {
  await using coordinator = await openCoordinator(url)
  await using api = openResources(coordinator)
  for (let seed = SEED; seed < SEED + seeds; seed++) {
    const world = new World(api, seededRandom(seed), `thing-${seed}`)
    try {
      for (let step = 0; step < 15; step++) await world.step()
    } catch (error) {
      throw new Error(`BANYAN_SEED=${seed}`, { cause: error })
    }
  }
}

it('no manager loses a field without force, whatever two of them do at the same time', async () => {
  await play('memory:', times(40))
})

it('the same in a SQLite file', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'banyan-managers-'))
  try {
    await play(`sqlite:${directory}`, times(5))
  } finally {
    rmSync(directory, { recursive: true })
  }
})
