import { inspect } from 'node:util'
import { BanyanError } from '../../core/errors.js'
import { checkOptionNames } from '../../core/options.js'

/** What the holder of something has: `Held` of a lock, a term of an election. */
export interface Holding {
  readonly token: number
  /** @throws if it is over, by the clock */
  check?(): void
}

/** Under which fence something is done, and as which of its holders. */
export interface Claim {
  /** Of the fence: of the election, lock or job that gives out the tokens. 1 to 255 bytes; all that share a resource say the same. */
  readonly name: string
  /**
   * What is held, or its token. What is held is better: its `check` is asked before each use, which costs nothing and refuses
   * most of what is late before it is on its way.
   */
  readonly token: number | Holding
}

/** A claim that can be one. */
export interface CheckedClaim {
  readonly name: string
  readonly token: number
  /** Whether `check` knows anything. */
  readonly live: boolean
  readonly check: () => void
}

const CLAIM: readonly string[] = ['name', 'token'] satisfies (keyof Claim)[]
/** Of the name of a fence, in UTF-8. */
const MAX_BYTES = 255
/** Half of a surrogate pair, or NUL. */
const NO_TEXT = /\0|\p{Surrogate}/u

/** @throws `BANYAN_INVALID_OPTIONS` for what is no claim */
export function claimOf(claim: Claim): CheckedClaim {
  if (typeof claim !== 'object' || (claim as Claim | null) === null)
    throw invalid(`a fence needs { name, token }, got ${show(claim)}`)
  checkOptionNames('a fence', CLAIM, claim)
  const { name, token } = claim
  checkFenceName(name)
  return claimUnder(name, token)
}

/**
 * A claim to what has a name of another kind than fences have.
 *
 * @throws `BANYAN_INVALID_OPTIONS` for what is no token
 */
export function claimUnder(name: string, token: Claim['token']): CheckedClaim {
  const number = typeof token === 'object' && (token as Holding | null) !== null ? token.token : token
  if (!Number.isSafeInteger(number) || (number as number) < 1)
    throw invalid(
      `the token of the fence ${JSON.stringify(name)} must be a whole number of at least 1, or what is held, got ${show(number)}`,
    )
  const holding = typeof token === 'object' && token.check !== undefined ? token : undefined
  if (holding && typeof holding.check !== 'function')
    throw invalid(
      `\`check\` of what is held with the token of the fence ${JSON.stringify(name)} must be a function`,
    )
  return {
    name,
    token: number as number,
    live: holding !== undefined,
    check: () => holding?.check!(),
  }
}

/** @throws `BANYAN_INVALID_OPTIONS` unless it can be the name of a fence */
export function checkFenceName(name: unknown): asserts name is string {
  if (!isFenceName(name))
    throw invalid(
      `the name of a fence is well-formed text of 1 to ${MAX_BYTES} bytes without NUL, got ${show(name)}`,
    )
}

/** Whether it can be the name of a fence. */
export function isFenceName(name: unknown): name is string {
  return (
    typeof name === 'string' && name !== '' && !NO_TEXT.test(name) && Buffer.byteLength(name) <= MAX_BYTES
  )
}

function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 80))
  return value === undefined ? 'nothing' : inspect(value, { depth: 1, breakLength: Infinity })
}

function invalid(message: string): Error {
  return new BanyanError('BANYAN_INVALID_OPTIONS', message)
}
