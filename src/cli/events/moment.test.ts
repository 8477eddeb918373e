import { afterAll, describe, expect, test } from 'vitest'
import { openLog } from '../../events/index.js'
import { virtualRuntime } from '../../testing/index.js'
import { positionOf, shortPosition } from './moment.js'

const runtime = virtualRuntime()
const { clock } = runtime
const log = await openLog('memory:', { runtime })
/** When the first of three events was appended, a minute before the next. */
const begun = clock.wall()
for (let count = 0; count < 3; count++) {
  await log.append({ streams: [{ stream: 's', events: [{ type: 'T' }] }] })
  await clock.advance(60_000)
}
const [one, two, three] = [1, 2, 3].map((number) => String(number).padStart(16, '0'))
afterAll(() => log.close())

const at = (text: string): Promise<string> => positionOf(log, text, '--from', clock.wall())

describe('a place in the log', () => {
  test.each([
    ['start', '0'],
    ['end', three],
    ['0', '0'],
    ['2', two],
    [two!, two],
    // Recorded before: three minutes ago the first was just coming.
    ['3m', '0'],
    ['150s', one],
    ['1ms', three],
    [new Date(begun + 60_001).toISOString(), two],
    ['1970-01-01', '0'],
    ['9999-01-01T00:00', three],
  ])('%s is %s', async (text, position) => {
    expect(await at(text)).toBe(position)
  })

  test.each(['2026-13-45', '2026-01-01T99:00'])('%s is no time', async (text) => {
    await expect(at(text)).rejects.toThrow(`--from ${text} is no time`)
  })

  test.each(['yesterday', '12x', '-1', ''])('what is something else is refused: "%s"', async (text) => {
    await expect(at(text)).rejects.toThrow(
      `--from is a position as it is printed, start, end, how long ago, as 10m, or a date or time, as 2026-09-22; got "${text}"`,
    )
  })

  test('is printed as it may be typed', async () => {
    expect(shortPosition(two!)).toBe('2')
    expect(shortPosition('0')).toBe('0')
    expect(await at(shortPosition(three!))).toBe(three)
  })
})
