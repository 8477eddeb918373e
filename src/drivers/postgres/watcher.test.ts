import { beforeEach, describe, expect, it } from 'vitest'
import { virtualClock, type VirtualClock } from '../../testing/virtual-clock.js'
import { Watcher } from './watcher.js'

describe('a watcher of a log', () => {
  const never = new AbortController().signal
  let clock: VirtualClock
  let head: number
  let looks: number[]
  let reachable: boolean
  let watcher: Watcher

  beforeEach(() => {
    clock = virtualClock()
    head = 0
    looks = []
    reachable = true
    const begun = clock.now()
    const look = (): Promise<number> => {
      looks.push(clock.now() - begun)
      return reachable ? Promise.resolve(head) : Promise.reject(new Error('away'))
    }
    watcher = new Watcher(look, 80, clock)
  })

  /** Whether it has resolved by now. */
  async function resolved(changed: Promise<void>): Promise<boolean> {
    let is = false
    void changed.then(() => (is = true))
    await clock.advance(0)
    return is
  }

  const ear = (): { hears: boolean; start: () => void; renew: () => void; renewed: number } => {
    const made = {
      hears: true,
      renewed: 0,
      start: () => undefined,
      renew: () => {
        made.renewed++
      },
    }
    watcher.listenWith(made)
    return made
  }

  it('looks ever more seldom while nothing happens, and at once again when something has', async () => {
    const changed = watcher.changed(0, never)
    await clock.advance(300)
    expect(looks).toEqual([10, 30, 70, 150, 230])
    head = 1
    await clock.advance(80)
    expect(await resolved(changed)).toBe(true)
    looks = []
    void watcher.changed(1, never)
    await clock.advance(10)
    expect(looks.length).toBe(1)
  })

  it('does not look while nobody waits', async () => {
    const stop = new AbortController()
    const changed = watcher.changed(0, stop.signal)
    stop.abort()
    expect(await resolved(changed)).toBe(true)
    await clock.advance(10_000)
    expect(looks).toEqual([])
  })

  it('resolves at once for what it knows already', async () => {
    watcher.appended(3)
    expect(await resolved(watcher.changed(2, never))).toBe(true)
    expect(await resolved(watcher.changed(3, never))).toBe(false)
  })

  it('keeps news that come before somebody waits', async () => {
    ear()
    head = 1
    watcher.something()
    expect(looks).toEqual([])
    expect(await resolved(watcher.changed(0, never))).toBe(true)
  })

  it('looks seldom while it hears, and wakes at once when it is told', async () => {
    ear()
    const changed = watcher.changed(0, never)
    await clock.advance(4999)
    expect(looks).toEqual([])
    watcher.head(1)
    expect(await resolved(changed)).toBe(true)
  })

  it('finds what no notification has told, and takes another connection if that happens again', async () => {
    const deaf = ear()
    for (const position of [1, 2]) {
      const changed = watcher.changed(position - 1, never)
      head = position
      await clock.advance(5000)
      expect(await resolved(changed)).toBe(true)
    }
    expect(deaf.renewed).toBe(1)
  })

  it('waits while the log cannot be reached, and until it can', async () => {
    const changed = watcher.changed(0, never)
    reachable = false
    head = 1
    await clock.advance(1000)
    expect(await resolved(changed)).toBe(false)
    reachable = true
    await clock.advance(80)
    expect(await resolved(changed)).toBe(true)
  })

  it('ends all waiting when it is closed', async () => {
    const changed = watcher.changed(0, never)
    watcher.close()
    expect(await resolved(changed)).toBe(true)
    expect(await resolved(watcher.changed(5, never))).toBe(true)
    await clock.advance(10_000)
    expect(looks).toEqual([])
  })
})
