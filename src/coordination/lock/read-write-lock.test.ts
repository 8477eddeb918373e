import { describe, expect, it } from 'vitest'
import { processes } from '../../../test/support/coordinators.js'
import { lock, readLocks, readWriteLock, type Held } from '../index.js'

describe('a read/write lock', () => {
  it('is held by many readers, or by one writer, in the order of coming', async () => {
    const { clock, open } = processes()
    const inside: string[] = []
    const held = new Map<string, Held>()
    const come = async (kind: 'read' | 'write', name: string): Promise<void> => {
      void readWriteLock(open(), 'x', { holder: name })
        [kind].acquire()
        .then((each) => {
          inside.push(name)
          held.set(name, each)
        })
      await clock.advance(1)
    }
    const go = async (name: string): Promise<void> => {
      await held.get(name)!.release()
      inside.splice(inside.indexOf(name), 1)
      await clock.advance(1)
    }
    await come('read', 'r1')
    await come('read', 'r2')
    await come('write', 'w1')
    // It would starve the writer.
    await come('read', 'r3')
    await come('read', 'r4')
    await come('write', 'w2')
    expect(inside).toEqual(['r1', 'r2'])
    expect(await readLocks(open())).toMatchObject([
      {
        name: 'x',
        mode: 'read',
        holders: [{ holder: 'r1' }, { holder: 'r2' }],
        waiting: [
          { holder: 'w1', mode: 'write' },
          { holder: 'r3', mode: 'read' },
          { holder: 'r4', mode: 'read' },
          { holder: 'w2', mode: 'write' },
        ],
      },
    ])
    await go('r2')
    expect(inside).toEqual(['r1'])
    await go('r1')
    expect(inside).toEqual(['w1'])
    await go('w1')
    expect(inside).toEqual(['r3', 'r4'])
    await go('r3')
    expect(inside).toEqual(['r4'])
    await go('r4')
    expect(inside).toEqual(['w2'])
  })

  it('goes on with the readers when a writer before them gives up', async () => {
    const { clock, open } = processes()
    const { read, write } = readWriteLock(open(), 'x')
    await using first = await read.acquire()
    const writer = expect(write.acquire({ timeout: '1s' })).rejects.toMatchObject({
      code: 'BANYAN_LOCK_TIMEOUT',
    })
    await clock.advance(1)
    const second = read.acquire()
    await clock.advance('2s')
    await writer
    expect((await second).held).toBe(true)
    expect(first.held).toBe(true)
  })

  it('knows a lock of its name as a writer', async () => {
    const { clock, open } = processes()
    const { read } = readWriteLock(open(), 'x')
    const reader = await read.acquire()
    const plain = lock(open(), 'x')
    expect(await plain.tryAcquire()).toBeUndefined()
    await reader.release()
    const held = await plain.acquire()
    expect(await read.tryAcquire()).toBeUndefined()
    await held.release()
    expect((await clock.settle(read.acquire())).held).toBe(true)
  })
})
