import { describe, expect, test } from 'vitest'
import { isWorkOf, workFor } from './within.js'

describe('work for what is held', () => {
  const held = {}

  test('knows that it is part of it, and what comes of it does', async () => {
    const inside = workFor(held, async () => {
      await Promise.resolve()
      return [isWorkOf(held), isWorkOf({})]
    })
    expect(isWorkOf(held)).toBe(false)
    expect(await inside).toEqual([true, false])
    expect(workFor(held, () => isWorkOf(held))).toBe(true)
  })

  test('that begins when it is awaited begins once, as part of it', async () => {
    const begun: boolean[] = []
    const builder = {
      then: (resolve: (rows: string[]) => void) => {
        begun.push(isWorkOf(held))
        resolve(['row'])
      },
    } as unknown as Promise<string[]>
    expect(await workFor(held, () => builder)).toEqual(['row'])
    expect(await workFor(held, () => workFor(held, () => builder))).toEqual(['row'])
    expect(begun).toEqual([true, true])
  })

  test('is handed on as it is when it needs no waiting', () => {
    const value = { then: 'later' }
    expect(workFor(held, () => value)).toBe(value)
    expect(() => workFor(held, () => expect.unreachable('broken'))).toThrow('broken')
  })
})
