import type { BanyanError } from '../../core/errors.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import type { Coordinator, Entry, Expected } from '../coordinator.js'
import { coordinationError } from '../errors.js'
import { KEYSPACE, segment } from '../keyspace.js'
import { checkExpected } from '../request-options.js'
import { claimOf, claimUnder, type Claim, type Holding } from './claim.js'
import { StaleTokenError } from './stale-token.js'

/** Options of {@link fencedPut}. */
export interface FencedPutOptions {
  /** What is held, or its token. */
  token: number | Holding
  /** As for `put`: that nothing was put yet, or the revision of the last change. Default `'any'`. */
  expected?: Expected
}

const OPTIONS: OptionTable<FencedPutOptions> = {
  token: {
    kind: 'either',
    of: [
      { kind: 'number', min: 1, integer: true, doc: 'a token' },
      { kind: 'code', type: 'object', doc: 'what is held' },
    ],
    doc: 'what is held, or its token',
  },
  expected: {
    kind: 'either',
    of: [
      { kind: 'choice', values: ['any', 'absent'], doc: 'anything, or nothing' },
      { kind: 'number', min: 0, integer: true, doc: 'a revision' },
    ],
    doc: 'what must be there',
  },
}

/** What {@link fencedPut} has put. */
export interface FencedEntry {
  readonly value: string
  /** Of whoever has put it. */
  readonly token: number
  /** Of its last change. */
  readonly revision: number
}

/** What came of a {@link fencedPut}. */
export type FencedPutResult =
  | { readonly ok: true; readonly revision: number }
  /** It is not what was expected; `actual` is what is there. */
  | { readonly ok: false; readonly actual: FencedEntry | undefined }

/**
 * Sets a key of a coordinator as one holder of something, unless a later holder has set it: the token is kept with the value,
 * and compared in the same step in which it is changed.
 *
 * A key that is deleted forgets its token: put a value that says nothing instead. To change what was read, say its revision
 * as `expected`.
 *
 * @param key - only for what is put by this function; read with {@link fencedGet}
 * @param value - text, up to 256 KiB with what is kept beside it
 * @throws `BANYAN_STALE_TOKEN` ({@link StaleTokenError}), what `check` of what is held throws; `BANYAN_NAME_CLASH` if the key
 *   has something else; `BANYAN_INVALID_OPTIONS`; what `put` of the coordinator throws
 */
export async function fencedPut(
  coordinator: Coordinator,
  key: string,
  value: string,
  options: FencedPutOptions,
): Promise<FencedPutResult> {
  checkOptions('fencedPut', OPTIONS, options)
  checkExpected('fencedPut', options)
  const { expected = 'any' } = options
  const claim = claimUnder(key, options.token)
  for (;;) {
    claim.check()
    const found = await passed(coordinator, key, key, claim.token)
    if (expected !== 'any' && expected !== (found?.revision ?? 'absent')) return { ok: false, actual: found }
    const result = await replace(coordinator, key, found, claim.token, value)
    if (result !== undefined) return { ok: true, revision: result }
  }
}

/**
 * What {@link fencedPut} has put, or undefined.
 *
 * @throws `BANYAN_NAME_CLASH` if the key has something else; what `get` of the coordinator throws
 */
export async function fencedGet(coordinator: Coordinator, key: string): Promise<FencedEntry | undefined> {
  const entry = await coordinator.get(key)
  return entry && read(entry)
}

/** What remembers the highest tokens of fences. */
export interface FenceKeeper {
  /**
   * Raises a fence, or finds that it is as high.
   *
   * @throws `BANYAN_STALE_TOKEN` if it is higher
   */
  raise(claim: Claim): Promise<void>
}

/**
 * Fences in a coordinator, for those who have no database, in front of several servers: `banyan/fences/NAME`. Each question
 * costs a `get`, and a new token a `put`.
 */
export function coordinatorFences(coordinator: Coordinator): FenceKeeper {
  return {
    async raise(claim) {
      const { name, token, check } = claimOf(claim)
      const key = `${KEYSPACE.fences}${segment(name)}`
      for (;;) {
        check()
        const found = await passed(coordinator, key, name, token)
        if (found?.token === token) return
        if ((await replace(coordinator, key, found, token, '')) !== undefined) return
      }
    },
  }
}

/** What is there, unless it is of a later holder. */
async function passed(
  coordinator: Coordinator,
  key: string,
  fence: string,
  token: number,
): Promise<FencedEntry | undefined> {
  const found = await fencedGet(coordinator, key)
  if (found && found.token > token) throw new StaleTokenError(fence, token, found.token)
  return found
}

/** @returns the revision, unless somebody was faster */
async function replace(
  coordinator: Coordinator,
  key: string,
  found: FencedEntry | undefined,
  token: number,
  value: string,
): Promise<number | undefined> {
  const result = await coordinator.put(key, JSON.stringify({ token, value }), {
    expected: found?.revision ?? 'absent',
  })
  return result.ok ? result.revision : undefined
}

function read({ key, value: text, revision }: Entry): FencedEntry {
  try {
    const { token, value } = JSON.parse(text) as { token: unknown; value: unknown }
    if (Number.isSafeInteger(token) && typeof value === 'string')
      return { value, token: token as number, revision }
  } catch (error) {
    if (!(error instanceof SyntaxError) && !(error instanceof TypeError)) throw error
  }
  throw clash(key)
}

function clash(key: string): BanyanError {
  return coordinationError(
    'BANYAN_NAME_CLASH',
    `the key ${key} has a value that fencedPut has not put; use a key for this alone`,
  )
}
