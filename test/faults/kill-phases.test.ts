import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openLog } from '../../src/events/index.js'
import { Child } from './support/child.js'
import { faultyDisk, faultyDiskMissing } from './support/disk.js'
import { judge } from './support/judge.js'
import { Choices, SEED } from './support/seed.js'

/** Every change of a file up to this one, then some of those behind it, among them those of checkpoints. */
const EVERY = 30
const SPREAD = 15
const LAST = 1500

/**
 * The moments that random kills seldom hit: a process is killed in its first change of a file, another in its second, and
 * so on, each time with a write half done.
 */
describe.skipIf(faultyDiskMissing())('killed in every phase of a write', () => {
  test.each([
    ['alone, so that the next recovers', false],
    ['beside a process that goes on', true],
  ])(`sqlite %s (seed ${SEED})`, { timeout: 120_000 }, async (_, beside) => {
    const root = mkdtempSync(join(tmpdir(), 'banyan-phases-'))
    const directory = join(root, 'disk')
    mkdirSync(directory)
    const where = `sqlite:${join(directory, 'log')}`
    const killed = join(root, 'killed')
    const choices = new Choices(SEED)
    const moments = Array.from({ length: EVERY }, (_, index) => index + 1)
    for (let index = 0; index < SPREAD; index++) moments.push(EVERY + choices.below(LAST))

    const other = beside ? await openLog(where) : undefined
    const histories: string[] = []
    for (const [index, killAt] of moments.entries()) {
      const history = join(root, `${index}.ndjson`)
      histories.push(history)
      const writer = new Child(
        'sequence.mjs',
        {
          log: where,
          name: `w${index}`,
          history,
          commits: LAST,
          together: 20,
          close: true,
          seed: SEED + index,
        },
        faultyDisk({ files: directory, killAt, killed }),
      )
      const { code, signal } = await writer.exited
      if (signal !== 'SIGKILL') throw writer.failure(`ended with ${code ?? signal}`)
    }

    const log = other ?? (await openLog(where))
    const { verdict } = await judge(log, histories)
    await log.close()
    const phases = readFileSync(killed, 'utf8').trimEnd().split('\n')
    process.stdout.write(`${phases.length} killed ${summaryOf(phases)}: ${verdict.summary}\n`)
    expect(phases).toHaveLength(moments.length)
    expect(existsSync(directory)).toBe(true)
    rmSync(root, { recursive: true })
  })
})

/** In what, and how often. */
function summaryOf(phases: readonly string[]): string {
  const counts = new Map<string, number>()
  for (const phase of phases) {
    const [, what = '', file = ''] = /^(\w+) .*?([^/]+) at /.exec(phase) ?? []
    const name = `in a ${what} of ${file}`
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  return [...counts].map(([name, count]) => `${count} ${name}`).join(', ')
}
