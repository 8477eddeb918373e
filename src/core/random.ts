/** The one source of randomness. Inject a seeded one to replay a run exactly. */
export interface Random {
  /** A number in [0, 1). */
  next(): number
}

/** `Math.random`. Not for secrets. */
export const systemRandom: Random = { next: Math.random }

/**
 * A small, fast, repeatable generator: sfc32, by Chris Doty-Humphrey (PractRand). The same seed gives the same
 * numbers on every machine.
 *
 * @param seed - any integer; only its low 32 bits count
 */
export function seededRandom(seed: number): Random {
  let a = 0x9e3779b9
  let b = 0x243f6a88
  let c = seed | 0
  let counter = 1
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = ((c << 21) | (c >>> 11)) + sum
    c |= 0
    return (sum >>> 0) / 4_294_967_296
  }
  // Small seeds differ in few bits; the first rounds spread them over the whole state.
  for (let round = 0; round < 12; round++) next()
  return { next }
}
