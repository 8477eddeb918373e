import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { linesOf } from './input.js'

const directory = mkdtempSync(join(tmpdir(), 'banyan-input-'))
afterAll(() => rmSync(directory, { recursive: true }))
const file = join(directory, 'lines')

async function linesIn(content: string | Uint8Array): Promise<string[]> {
  writeFileSync(file, content)
  const lines: string[] = []
  for await (const line of linesOf(file)) lines.push(line)
  return lines
}

test('lines end at newlines and nowhere else, however they lie in the parts that are read', async () => {
  // Some longer than the 64 kB that a stream reads at once, with characters of several bytes at its ends.
  const line = fc
    .tuple(fc.string({ unit: 'binary' }), fc.constantFrom(1, 1, 1, 6_000))
    .map(([text, times]) => text.toWellFormed().replaceAll('\n', '\u2028').repeat(times).slice(0, 150_000))
    .map((text) => text.toWellFormed())
  await fc.assert(
    fc.asyncProperty(fc.array(line, { maxLength: 8 }), fc.boolean(), async (lines, ended) => {
      const expected = ended || lines.at(-1) !== '' ? lines : lines.slice(0, -1)
      expect(await linesIn(lines.join('\n') + (ended && lines.length > 0 ? '\n' : ''))).toEqual(expected)
    }),
    { numRuns: 40 },
  )
})

test('a line that is not UTF-8 is told by its number', async () => {
  const bad = Buffer.concat([Buffer.from('{}\n{}\n{"a":"'), Buffer.of(0xff, 0xfe), Buffer.from('"}\n')])
  await expect(linesIn(bad)).rejects.toThrow('line 3 is not UTF-8')
})

test('a file that is not there is told by its name', async () => {
  const read = async (): Promise<void> => {
    for await (const line of linesOf(join(directory, 'nothing'))) expect(line).toBe('never')
  }
  await expect(read()).rejects.toThrow(/cannot read .*nothing: ENOENT/)
})
