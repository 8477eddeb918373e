import { describe, expect, it } from 'vitest'
import { world } from '../../../test/support/reachable.js'
import type { Coordinator } from '../../coordination/coordinator.js'
import { Presence } from './presence.js'

function enter(coordinator: Coordinator, node: string) {
  const clashes: string[] = []
  const onTaken = (holder: string) => void clashes.push(holder)
  return { clashes, presence: new Presence(coordinator, { namespace: 'default', node, onTaken }) }
}

describe('a presence', () => {
  it('ends a lease after its process, and not before', async () => {
    const { connect, runtime } = world()
    const [dying, other] = [connect(), connect()]
    enter(dying.coordinator, 'edge-1')
    const { presence } = enter(other.coordinator, 'edge-2')
    await runtime.clock.advance('1m')
    expect(['edge-1', 'edge-2', 'edge-3'].map((name) => presence.has(name))).toEqual([true, true, false])
    dying.engine.reach = 'away'
    await runtime.clock.advance('8s')
    expect(presence.has('edge-1')).toBe(true)
    await runtime.clock.advance('4s')
    expect(presence.has('edge-1')).toBe(false)
    dying.engine.reach = 'there'
    await runtime.clock.advance('1m')
    expect(presence.has('edge-1')).toBe(true)
  })

  it('ends at once when its process says so', async () => {
    const { connect, runtime } = world()
    const { presence: leaving } = enter(connect().coordinator, 'edge-1')
    const { presence } = enter(connect().coordinator, 'edge-2')
    await runtime.clock.advance('1s')
    expect(presence.has('edge-1')).toBe(true)
    await leaving.close()
    await runtime.clock.advance('100ms')
    expect(presence.has('edge-1')).toBe(false)
  })

  it('is of one namespace', async () => {
    const { connect, runtime } = world()
    enter(connect().coordinator, 'edge-1')
    const onTaken = () => undefined
    const there = new Presence(connect().coordinator, { namespace: 'other', node: 'edge-2', onTaken })
    expect(there.has('edge-1')).toBe(true)
    await runtime.clock.advance('1s')
    expect(there.has('edge-1')).toBe(false)
  })

  it('takes nobody for gone before the first listing, in an outage, and until all had the time to come back', async () => {
    const { connect, runtime } = world()
    const [one, two] = [connect(), connect()]
    one.engine.reach = 'away'
    const { presence } = enter(one.coordinator, 'edge-1')
    await runtime.clock.advance('1m')
    expect(presence.has('edge-2')).toBe(true)
    one.engine.reach = 'there'
    await runtime.clock.advance('1m')
    expect(presence.has('edge-2')).toBe(false)
    enter(two.coordinator, 'edge-2')
    await runtime.clock.advance('1m')
    one.engine.reach = two.engine.reach = 'away'
    for (const reach of ['away', 'there'] as const) {
      one.engine.reach = reach
      for (let at = 0; at < 9; at++) {
        await runtime.clock.advance('5s')
        expect(presence.has('edge-2')).toBe(true)
        if (reach === 'there') two.engine.reach = reach
      }
    }
  })

  it('is taken anew if somebody removes its key', async () => {
    const { connect, runtime } = world()
    const { coordinator } = connect()
    enter(coordinator, 'edge-1')
    const { presence } = enter(connect().coordinator, 'edge-2')
    await runtime.clock.advance('1s')
    await coordinator.delete('banyan/nodes/default/edge-1')
    await runtime.clock.advance('1s')
    expect(presence.has('edge-1')).toBe(true)
    expect((await coordinator.get('banyan/nodes/default/edge-1'))?.lease).toBeDefined()
  })

  it('is had although the answer was lost', async () => {
    const { connect, runtime } = world()
    const { coordinator, engine } = connect()
    await coordinator.session().lease()
    engine.losesAnswers = true
    const { clashes, presence } = enter(coordinator, 'edge-1')
    await runtime.clock.advance('500ms')
    engine.losesAnswers = false
    await runtime.clock.advance('1m')
    expect([clashes, presence.isTaken]).toEqual([[], false])
    expect(await coordinator.get('banyan/nodes/default/edge-1')).toBeDefined()
  })
})

describe('a name that another process has', () => {
  it('is told once, and had as soon as that is gone', async () => {
    const { connect, runtime } = world()
    const first = enter(connect().coordinator, 'edge-1')
    await runtime.clock.advance('1s')
    const second = enter(connect().coordinator, 'edge-1')
    await runtime.clock.advance('10m')
    expect([first.clashes, first.presence.isTaken]).toEqual([[], false])
    expect([second.clashes.length, second.presence.isTaken]).toEqual([1, true])
    await first.presence.close()
    await runtime.clock.advance('100ms')
    expect([second.clashes.length, second.presence.isTaken]).toEqual([1, false])
  })

  it('is not told of what is left of a process that was killed', async () => {
    const { connect, runtime } = world()
    const killed = connect()
    enter(killed.coordinator, 'edge-1')
    await runtime.clock.advance('1m')
    killed.engine.reach = 'away'
    const next = connect()
    const { clashes, presence } = enter(next.coordinator, 'edge-1')
    await runtime.clock.advance('1m')
    expect([clashes, presence.isTaken]).toEqual([[], false])
    const entry = await next.coordinator.get('banyan/nodes/default/edge-1')
    expect(entry?.lease).toBe((await next.coordinator.session().lease()).id)
  })
})
