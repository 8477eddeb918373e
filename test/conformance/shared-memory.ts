import assert from 'node:assert/strict'
import { memoryLog } from '../../src/drivers/memory/log.js'
import type { EncodedCommit, LogDriver } from '../../src/events/driver.js'
import type { LogSetup, LogUnderTest } from '../../src/testing/index.js'

/** What a broken driver does differently; it is given the right one. */
export type Bug = (right: LogDriver) => Partial<LogDriver>

/** A log that outlives its handles, as a file does, kept in memory; with a bug, if one is given. */
export function sharedMemorySetup(
  bug: Bug = () => ({}),
  options: { losesLastGroup?: boolean } = {},
): LogSetup {
  const capabilities = { ...memoryLog().capabilities, durable: 'fsync', shared: 'machine' } as const
  return {
    capabilities,
    open(): Promise<LogUnderTest> {
      const written: (readonly EncodedCommit[])[] = []
      let engine = memoryLog()
      let broken = bug(engine)
      let crash = new AbortController()
      let handles = 0
      const connect = (): LogDriver => {
        handles++
        const driver: LogDriver = {
          capabilities,
          parallel: engine.parallel,
          append: (group) => {
            written.push(group)
            return engine.append(group)
          },
          read: (query) => engine.read(query),
          head: () => engine.head(),
          positionAt: (time) => engine.positionAt(time),
          changed: (position, signal) => engine.changed(position, AbortSignal.any([signal, crash.signal])),
          revision: (stream) => engine.revision(stream),
          streams: (query) => engine.streams(query),
          truncate: (what) => engine.truncate(what),
          hold: (name, position) => engine.hold(name, position),
          release: (name) => engine.release(name),
          stats: () => engine.stats(),
          verify: (signal) => engine.verify(signal),
          close: async () => {
            handles--
            if (handles > 0 || !options.losesLastGroup) return
            // What was acknowledged last had not reached the disk.
            engine = memoryLog()
            const kept = await engine.append(written.slice(0, -1).flat())
            assert.equal(kept.length, written.slice(0, -1).flat().length)
            broken = bug(engine)
            crash.abort()
            crash = new AbortController()
          },
        }
        return { ...driver, ...broken }
      }
      return Promise.resolve({ driver: connect(), connect: () => Promise.resolve(connect()) })
    },
  }
}
