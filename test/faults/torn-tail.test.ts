import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openLog, type Commit, type EventLog } from '../../src/events/index.js'
import { SEED, times } from '../support/effort.js'
import { problems } from './support/judge.js'
import { Choices } from './support/choices.js'

const COMMITS = 12
/** Of a WAL: https://sqlite.org/fileformat2.html#walformat */
const HEADER = 32
const FRAME_HEADER = 24

/** What is left when a power loss tears off the end of the file that was written last. */
test(
  `a WAL that ends anywhere: what is whole stays, the rest is gone (seed ${SEED})`,
  { timeout: 300_000 },
  async () => {
    const root = mkdtempSync(join(tmpdir(), 'banyan-torn-'))
    const file = join(root, 'events.db')
    const log = await openLog(`sqlite:${file}`)
    await log.append({ id: 'first', streams: [{ stream: 'first-1', events: [{ type: 'First' }] }] })
    const database = readFileSync(file)
    const begin = statSync(`${file}-wal`).size
    /** Where the WAL ended when each was acknowledged. */
    const ends: number[] = []
    for (let number = 0; number < COMMITS; number++) {
      expect((await log.append(commitOf(number))).ok).toBe(true)
      ends.push(statSync(`${file}-wal`).size)
    }
    const wal = readFileSync(`${file}-wal`)
    // Otherwise a checkpoint has come between, and offsets mean nothing.
    expect(readFileSync(file).equals(database)).toBe(true)
    expect(new Set(ends).size).toBe(COMMITS)
    await log.close()

    const choices = new Choices(SEED)
    for (const offset of offsetsOf(wal, begin, choices)) {
      const copy = join(root, `at-${offset}`)
      mkdirSync(copy)
      writeFileSync(join(copy, 'events.db'), database)
      writeFileSync(join(copy, 'events.db-wal'), wal.subarray(0, offset))
      const torn = await openLog(`sqlite:${join(copy, 'events.db')}`)
      await expectPrefix(torn, ends, offset)
      await torn.close()
      rmSync(copy, { recursive: true })
    }
    rmSync(root, { recursive: true })
  },
)

function commitOf(number: number): Commit {
  const data = { number, filling: 'x'.repeat(number % 4 === 0 ? 9000 : 100) }
  return {
    id: `commit-${number}`,
    streams: [
      { stream: 'order-1', expected: number === 0 ? 'none' : number - 1, events: [{ type: 'A', data }] },
      { stream: `stock-${number}`, events: [{ type: 'B', data, tags: ['t'] }, { type: 'C' }] },
    ],
  }
}

/** Before, at and behind the ends of frames and of their headers, and anywhere: each kind at some frames. */
function offsetsOf(wal: Buffer, begin: number, choices: Choices): number[] {
  const size = FRAME_HEADER + wal.readUInt32BE(8)
  const frames = (wal.length - HEADER) / size
  const first = (begin - HEADER) / size
  const offsets = new Set<number>([begin, wal.length])
  for (const behind of [-1, 0, 1, 7, FRAME_HEADER, FRAME_HEADER + 1, FRAME_HEADER + 700])
    for (let count = 0; count < times(3); count++)
      offsets.add(HEADER + (first + 1 + choices.below(frames - first - 1)) * size + behind)
  for (let count = 0; count < times(5); count++) offsets.add(begin + choices.below(wal.length - begin))
  return [...offsets].filter((offset) => offset >= begin && offset <= wal.length)
}

async function expectPrefix(log: EventLog, ends: readonly number[], offset: number): Promise<void> {
  const about = `the WAL ends at ${offset}`
  const whole = ends.filter((end) => end <= offset).length
  expect(await problems(log), about).toEqual([])
  const seen: string[] = []
  for await (const { stream, revision, type } of log.read()) seen.push(`${stream}@${revision} ${type}`)
  const wanted = ['first-1@0 First']
  for (let number = 0; number < whole; number++)
    wanted.push(`order-1@${number} A`, `stock-${number}@0 B`, `stock-${number}@1 C`)
  expect(seen, about).toEqual(wanted)

  // It goes on from there, as if what was torn off had never been tried.
  for (let number = Math.max(0, whole - 1); number < Math.min(COMMITS, whole + 2); number++) {
    const result = await log.append(commitOf(number))
    expect(result, about).toMatchObject({ ok: true, duplicate: number < whole })
  }
  expect(await problems(log), about).toEqual([])
}
