import { expect } from 'vitest'

/** Somebody has looked whether they hold something, and they did. Times are of a clock that all processes share, in ms. */
export interface Look {
  readonly token: number
  readonly before: number
  readonly after: number
}

/** Nobody has seen that they hold it after somebody with a higher token has. */
export function checkAlone(all: readonly Look[]): void {
  const looks = [...all].sort((a, b) => b.token - a.token)
  let [token, first, firstOfLater] = [0, Infinity, Infinity]
  for (const look of looks) {
    if (look.token !== token) [token, firstOfLater] = [look.token, Math.min(first, firstOfLater)]
    first = Math.min(first, look.after)
    expect(look.before, `with the token ${token}`).toBeLessThanOrEqual(firstOfLater)
  }
}
