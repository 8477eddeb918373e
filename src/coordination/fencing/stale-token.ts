import { BanyanError } from '../../core/errors.js'
import type { Runtime } from '../../core/runtime.js'
import type { Counter } from '../../core/telemetry.js'

/** `BANYAN_STALE_TOKEN`: a resource has refused what came with a lower token than it has seen. Nothing was done. */
export class StaleTokenError extends BanyanError {
  /** The name of the fence. */
  readonly fence: string
  /** What came. */
  readonly token: number
  /** The highest that was seen. */
  readonly seen: number

  constructor(fence: string, token: number, seen: number) {
    super(
      'BANYAN_STALE_TOKEN',
      `token ${token} of the fence ${JSON.stringify(fence)} is stale: ${seen} was used since, so somebody else has taken over. ` +
        'Nothing was done. Stop what you do under this token; what has been read under it may be old as well',
    )
    this.fence = fence
    this.token = token
    this.seen = seen
  }
}

/** Counts what was refused for it, by fence: somebody goes on who has been replaced. */
export function staleCounter({ telemetry }: Runtime): Counter {
  return telemetry.counter('banyan.fencing.refused', {
    description: 'What came with a stale fencing token, and was refused.',
    unit: '{attempt}',
  })
}
