import { execFileSync } from 'node:child_process'
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { virtualRuntime } from '../../testing/index.js'
import { LineOutput } from './line-output.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'banyan-lines-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

async function setUp(most = 1_000_000, to = join(folder, 'access.log')) {
  const { clock } = virtualRuntime()
  const lost: { lines: number; error: Error | undefined }[] = []
  const output = await LineOutput.open({
    to,
    clock,
    most,
    onLost: (lines, error) => lost.push({ lines, error }),
  })
  return { output, clock, lost, to, read: () => readFileSync(to, 'utf8') }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn()
}

describe('lines', () => {
  test('are written in their order, the last ones at the end at the latest', async () => {
    const { output, read, lost } = await setUp()
    const lines = Array.from({ length: 5_000 }, (_, index) => `{"line":${index}}\n`)
    for (const line of lines) expect(output.write(line)).toBe(true)
    await output.close()
    expect(read()).toBe(lines.join(''))
    expect(lost).toEqual([])
  })

  test('go together a tenth of a second after the first', async () => {
    const { output, read, clock } = await setUp()
    output.write('a\n')
    output.write('b\n')
    await clock.advance(99)
    expect(read()).toBe('')
    await clock.advance(1)
    await until(() => read() === 'a\nb\n')
    await output.close()
  })

  test('are appended to what is there', async () => {
    const first = await setUp()
    first.output.write('a\n')
    await first.output.close()
    const second = await setUp()
    second.output.write('b\n')
    await second.output.close()
    expect(second.read()).toBe('a\nb\n')
  })

  test('that come after the end are lost, and told', async () => {
    const { output, lost } = await setUp()
    await output.close()
    expect(output.write('a\n')).toBe(false)
    expect(lost).toEqual([{ lines: 1, error: undefined }])
  })
})

describe('a file', () => {
  test('that was moved away is opened anew within a second', async () => {
    const { output, clock, to, read } = await setUp()
    output.write('a\n')
    await clock.advance(100)
    await until(() => read() === 'a\n')
    renameSync(to, `${to}.1`)
    await clock.advance(1_000)
    output.write('b\n')
    await output.close()
    expect(readFileSync(`${to}.1`, 'utf8')).toBe('a\n')
    expect(read()).toBe('b\n')
  })

  test('is opened anew with the next lines when that is asked for', async () => {
    const { output, clock, to, read } = await setUp()
    output.write('a\n')
    await clock.advance(100)
    await until(() => read() === 'a\n')
    renameSync(to, `${to}.1`)
    output.reopen()
    output.write('b\n')
    await output.close()
    expect(read()).toBe('b\n')
  })

  test('that cannot be written to is a clear error at the start', async () => {
    await expect(setUp(1, join(folder, 'nowhere', 'access.log'))).rejects.toMatchObject({
      code: 'BANYAN_ACCESS_LOG',
      message: expect.stringMatching(
        /^accessLog\.output: cannot write to `.*nowhere\/access\.log`: ENOENT/,
      ) as string,
    })
  })

  test('whose folder has gone loses lines, tells why, and is there again when the folder is', async () => {
    const { output, clock, lost } = await setUp(1_000, join(folder, 'access.log'))
    rmSync(folder, { recursive: true })
    await clock.advance(1_000)
    output.write('a\n')
    await clock.advance(100)
    await until(() => lost.length === 1)
    expect(lost[0]).toMatchObject({ lines: 1, error: { code: 'ENOENT' } })
    execFileSync('mkdir', [folder])
    await clock.advance(1_000)
    output.write('b\n')
    await output.close()
    expect(readFileSync(join(folder, 'access.log'), 'utf8')).toBe('b\n')
  })
})

describe('a pipe that nobody reads', () => {
  test('stops nobody: what waits is bounded, the rest is dropped and counted, and what waited arrives later', async () => {
    const pipe = join(folder, 'pipe')
    execFileSync('mkfifo', [pipe])
    const reader = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK)
    const line = `${'x'.repeat(1_023)}\n`
    const { output, lost } = await setUp(256 * 1_024, pipe)
    let taken = 0
    for (let round = 0; round < 600; round++) {
      if (output.write(line)) taken++
      if (round % 50 === 0) await turn()
    }
    expect(taken).toBeLessThan(600)
    expect(lost.reduce((sum, { lines }) => sum + lines, 0)).toBe(600 - taken)
    const buffer = Buffer.alloc(64 * 1_024)
    let received = 0
    const closed = output.close()
    while (received < taken * line.length) {
      try {
        received += readSync(reader, buffer)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
      }
      await turn()
    }
    await closed
    closeSync(reader)
    expect(received).toBe(taken * line.length)
  })
})
