import { BanyanError } from '../../../core/errors.js'
import type { HandlerProblem } from '../../../core/http-handler.js'
import type { Runtime } from '../../../core/runtime.js'
import { coordinationError } from '../../errors.js'
import { staleCounter, StaleTokenError } from '../stale-token.js'
import { parseFencingToken, type FencingToken } from './header.js'
import type { Turnstile } from './turnstile.js'

/** Which requests are let in. */
export interface EntranceOptions {
  /** Of the fence. */
  readonly name: string
  /** Whether a request without a token is refused. */
  readonly required: boolean
  /** How long a request waits for those of earlier holders, in ms. */
  readonly wait: number
}

/** A request that was let in, or why not. */
export type Entered =
  | { readonly token: FencingToken | undefined; readonly leave: () => void }
  | { readonly problem: HandlerProblem }

/** Takes what stands behind `Fencing-Token:`. */
export type Entrance = (field: string | null | undefined) => Promise<Entered>

/** An entrance to a turnstile, for requests: what they are told who are not let in. */
export function entranceOf(
  turnstile: Turnstile,
  { name, required, wait }: EntranceOptions,
  runtime: Runtime,
): Entrance {
  const refused = staleCounter(runtime)
  return async (field) => {
    try {
      const token = tokenOf(field, name, required)
      return { token, leave: token ? await turnstile.enter(token, wait) : () => undefined }
    } catch (error) {
      if (error instanceof StaleTokenError) refused.add(1, { 'banyan.fence': name })
      if (error instanceof BanyanError) return { problem: problemOf(error) }
      throw error
    }
  }
}

function tokenOf(
  field: string | null | undefined,
  name: string,
  required: boolean,
): FencingToken | undefined {
  if (field === null || field === undefined) {
    if (!required) return undefined
    throw coordinationError(
      'BANYAN_FENCING_TOKEN_REQUIRED',
      `this may be changed by the holder of ${JSON.stringify(name)} only: send its token as Fencing-Token`,
    )
  }
  const token = parseFencingToken(field)
  if (token.name !== name)
    throw coordinationError(
      'BANYAN_INVALID_FENCING_TOKEN',
      `the fence here is ${JSON.stringify(name)}, the token is of ${JSON.stringify(token.name)}`,
    )
  return token
}

/** ms until it is worth trying again. */
const SOON = 1000

/** Status, kind, and what is told where the message is about the inside. */
const PROBLEMS: Readonly<Record<string, readonly [status: number, kind: string]>> = {
  BANYAN_STALE_TOKEN: [412, 'stale-token'],
  BANYAN_FENCING_TOKEN_REQUIRED: [428, 'fencing-token-required'],
  BANYAN_INVALID_FENCING_TOKEN: [400, 'invalid-fencing-token'],
  BANYAN_FENCE_BUSY: [503, 'fence-busy'],
}

function problemOf(error: BanyanError): HandlerProblem {
  const { code } = error
  const known = PROBLEMS[code]
  if (!known)
    return {
      status: 503,
      kind: 'fence-unavailable',
      detail: 'It cannot be told at the moment whether the token is the highest. Nothing was done.',
      extensions: { code },
      retryAfter: SOON,
    }
  const [status, kind] = known
  return {
    status,
    kind,
    detail: error.message,
    extensions: {
      code,
      ...(error instanceof StaleTokenError && {
        fence: error.fence,
        token: error.token,
        seen: error.seen,
      }),
    },
    ...(status === 503 && { retryAfter: SOON }),
  }
}
