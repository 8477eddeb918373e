import { describe, expect, it } from 'vitest'
import { world } from '../../../test/support/reachable.js'
import { openView, type View, type ViewChanges } from './view.js'

function setUp() {
  const { runtime, connect } = world()
  return { runtime, other: connect().coordinator, ...connect() }
}

/** What a view has told, as text. */
function record(view: View): string[] {
  const told: string[] = []
  const say = ({ changes }: ViewChanges): void => {
    for (const change of changes)
      told.push(change.kind === 'put' ? `${change.entry.key}=${change.entry.value}` : `${change.key} deleted`)
  }
  view.on('change', say)
  view.on('stale', ({ problem }) => told.push(`stale: ${problem}`))
  view.on('fresh', () => told.push('fresh'))
  return told
}

describe('a view', () => {
  it('has what is there, and then every change of its prefix', async () => {
    const { coordinator, runtime } = setUp()
    await coordinator.put('a/1', 'one')
    const view = openView(coordinator, 'a/')
    const told = record(view)
    expect(view.revision).toBeUndefined()
    await view.ready
    await coordinator.put('a/2', 'two')
    await coordinator.put('b/1', 'other')
    await coordinator.delete('a/1')
    await runtime.clock.advance(0)
    expect([...view.entries.keys()]).toEqual(['a/2'])
    expect(view.get('a/2')?.value).toBe('two')
    expect(told).toEqual(['a/1=one', 'a/2=two', 'a/1 deleted'])
    await view.close()
  })

  it('tells what was there before a change', async () => {
    const { coordinator, runtime } = setUp()
    await coordinator.put('a/1', 'one')
    const view = openView(coordinator, 'a/')
    await view.ready
    const before: unknown[] = []
    view.on('change', ({ changes }) => before.push(...changes.map((change) => change.before?.value)))
    await coordinator.put('a/1', 'two')
    await coordinator.delete('a/1')
    await runtime.clock.advance(0)
    expect(before).toEqual(['one', 'two'])
    await view.close()
  })

  it.each(['away', 'silent'] as const)(
    'stays as it was while the engine is %s, says since when, and then tells only what is different',
    async (how) => {
      const { coordinator, other, engine, runtime } = setUp()
      await other.put('a/1', 'one')
      await other.put('a/2', 'two')
      const view = openView(coordinator, 'a/')
      await view.ready
      const told = record(view)
      await runtime.clock.advance('10s')
      const heard = runtime.clock.wall()
      engine.reach = how
      await other.put('a/2', 'TWO')
      await other.delete('a/1')
      await other.put('a/3', 'three')
      await runtime.clock.advance('1m')
      expect([...view.entries.keys()]).toEqual(['a/1', 'a/2'])
      expect(view.stale?.since).toBe(heard)
      engine.reach = 'there'
      if (how === 'away') {
        await runtime.clock.advance('4s')
        expect(view.stale).toBeUndefined()
        expect(told).toEqual(['stale: connection refused', 'a/2=TWO', 'a/1 deleted', 'a/3=three', 'fresh'])
      } else expect(told).toEqual(['stale: it does not answer'])
      await view.close()
    },
  )

  it('reads again when the history was compacted, and tells nothing twice', async () => {
    const { coordinator, engine, runtime } = setUp()
    await coordinator.put('a/1', 'one')
    engine.compacted = 5
    const view = openView(coordinator, 'a/')
    const told = record(view)
    await view.ready
    await runtime.clock.advance(0)
    for (let value = 0; value < 5; value++) await coordinator.put('a/2', `${value}`)
    await runtime.clock.advance('5s')
    expect(told).toEqual(['a/1=one', 'a/2=4'])
    expect(engine.asked.list).toBeLessThan(10)
    await view.close()
  })

  it('can be opened while the engine is away', async () => {
    const { coordinator, other, engine, runtime } = setUp()
    await other.put('a/1', 'one')
    engine.reach = 'away'
    const view = openView(coordinator, 'a/')
    await runtime.clock.advance('1m')
    expect(view.stale?.problem).toBe('connection refused')
    engine.reach = 'there'
    await runtime.clock.settle(view.ready)
    expect(view.get('a/1')?.value).toBe('one')
    expect(view.stale).toBeUndefined()
    await view.close()
  })

  it('keeps what it had when its coordinator is closed', async () => {
    const { coordinator, runtime } = setUp()
    await coordinator.put('a/1', 'one')
    const view = openView(coordinator, 'a/')
    await view.ready
    await coordinator.close()
    await runtime.clock.advance('5s')
    expect(view.get('a/1')?.value).toBe('one')
    expect(view.stale?.problem).toBe('the coordinator is closed')
    expect(runtime.clock.pending).toBe(0)
  })

  it('of a coordinator that is closed is never ready', async () => {
    const { coordinator } = setUp()
    await coordinator.close()
    await expect(openView(coordinator, 'a/').ready).rejects.toThrow('the coordinator is closed')
  })

  it('is silent after it was closed, and leaves no timer', async () => {
    const { coordinator, runtime } = setUp()
    const view = openView(coordinator, 'a/')
    const told = record(view)
    await view.ready
    await view.close()
    await coordinator.put('a/1', 'one')
    await runtime.clock.advance('10s')
    expect(told).toEqual([])
    expect(runtime.clock.pending).toBe(0)
  })
})
