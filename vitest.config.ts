import { availableParallelism } from 'node:os'
import { defineConfig, defineProject } from 'vitest/config'

/** Tests that hold the machine to something: how long a disk makes an event loop wait, what a node does under load. */
const ALONE = ['test/faults/slow-disk.test.ts', 'test/soak/**/*.test.ts']

const limits = { testTimeout: 120_000, hookTimeout: 120_000 }

export default defineConfig({
  test: {
    globalSetup: ['test/support/build.ts'],
    projects: [
      defineProject({
        test: {
          name: 'unit',
          include: ['src/**/*.test.ts'],
          isolate: false,
          sequence: { groupOrder: 1 },
          ...limits,
        },
      }),
      defineProject({
        test: {
          name: 'together',
          include: ['test/**/*.test.ts'],
          exclude: ALONE,
          sequence: { groupOrder: 2 },
          ...limits,
        },
      }),
      defineProject({
        test: { name: 'alone', include: ALONE, maxWorkers: 1, sequence: { groupOrder: 3 }, ...limits },
      }),
    ],
    // Many tests wait for a process, a disk or a timer; one more than there are cores keeps these at work.
    maxWorkers: availableParallelism() + 1,
    // What is logged on the way of a test that passes is expected; of one that fails it is evidence.
    silent: 'passed-only',
  },
})
