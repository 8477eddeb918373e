import { availableParallelism } from 'node:os'
import { defineConfig, defineProject } from 'vitest/config'

/** Tests that hold the machine to something: how long a disk makes an event loop wait, what a node does under load. */
const ALONE = ['test/faults/slow-disk.test.ts', 'test/soak/**/*.test.ts']

/** Tests of real processes, which they start, kill and starve: each file has a process of its own. */
const APART = ['test/{faults,integration,node}/**/*.test.ts']

const limits = {
  testTimeout: 120_000,
  hookTimeout: 120_000,
  // What real processes do may take a while on a machine that has other work.
  expect: { poll: { timeout: 20_000 } },
}

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
        test: { name: 'apart', include: APART, exclude: ALONE, sequence: { groupOrder: 2 }, ...limits },
      }),
      defineProject({
        test: {
          // In one group the projects go by their names: long files first, many short ones at the end.
          name: 'together',
          include: ['test/**/*.test.ts'],
          exclude: [...APART, ...ALONE],
          // A process for each file would load all that it tests again.
          isolate: false,
          sequence: { groupOrder: 2 },
          ...limits,
        },
      }),
      defineProject({
        test: { name: 'alone', include: ALONE, maxWorkers: 1, sequence: { groupOrder: 3 }, ...limits },
      }),
    ],
    // Many tests wait for a process, a disk or a timer; two more than there are cores keep these at work.
    maxWorkers: availableParallelism() + 2,
    // What is logged on the way of a test that passes is expected; of one that fails it is evidence.
    silent: 'passed-only',
  },
})
