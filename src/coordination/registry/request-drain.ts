import type { BanyanError } from '../../core/errors.js'
import { duration, parseDuration, type Duration } from '../../core/duration.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import type { Coordinator, Entry } from '../coordinator.js'
import { coordinationError, hasCode } from '../errors.js'
import { thisHolder } from '../holder.js'
import { endingWith, fieldsOf } from '../line/member.js'
import { decodeInstance, decodeStored, instanceKey, type Instance } from './instance.js'

/** What an operator asks of an instance. */
export interface DrainRequest {
  /** Which registration is meant: what comes later under the same id is not. */
  readonly registration: string
  /** Who asks. */
  readonly by: string
  /** How long it stays, marked as draining, in ms. Default: as it was registered. */
  readonly for?: number
}

const OPTIONS: OptionTable<{ for?: Duration; by?: string }> = {
  for: { kind: 'duration', doc: 'how long it stays' },
  by: { kind: 'string', doc: 'who asks' },
}

/** Where the request to drain the instance of a key stands. */
export function drainKey(instance: string): string {
  return `${instance}/drain`
}

/** What is asked; undefined if nothing is. */
export function drainRequestIn(entry: Entry | undefined): DrainRequest | undefined {
  if (!entry) return undefined
  const { registration, by, for: time } = fieldsOf(entry)
  return {
    registration: String(registration),
    by: String(by),
    ...(typeof time === 'number' && parseDuration(time) !== undefined && { for: time }),
  }
}

/**
 * Asks an instance to leave in good order, for operators: it marks itself as draining, and removes itself after a while. Its process
 * goes on, and does not register it again.
 *
 * @param options.for - how long it stays, marked as draining, in ms or as text; default as it was registered
 * @param options.by - who asks; default `host:pid`
 * @returns who was asked
 * @throws `BANYAN_SERVICE_UNKNOWN` if there is no such instance; `BANYAN_INVALID_OPTIONS`
 */
export async function requestDrain(
  coordinator: Coordinator,
  service: string,
  id: string,
  options: { for?: Duration; by?: string } = {},
): Promise<Instance> {
  checkOptions('requestDrain', OPTIONS, options)
  const key = instanceKey(service, id)
  const entry = await coordinator.get(key)
  const [instance, stored] = [entry && decodeInstance(entry), entry && decodeStored(entry.value)]
  const unknown = (cause?: unknown): BanyanError =>
    coordinationError(
      'BANYAN_SERVICE_UNKNOWN',
      `there is no instance ${JSON.stringify(id)} of ${JSON.stringify(service)}`,
      cause,
    )
  if (!entry || !instance || !stored) throw unknown()
  const { by = thisHolder() } = options
  const request: DrainRequest = {
    registration: stored.registration,
    by,
    ...(options.for !== undefined && { for: duration(options.for, 'for') }),
  }
  const since = coordinator.runtime.clock.wall()
  try {
    await coordinator.put(drainKey(key), JSON.stringify({ ...request, since }), endingWith(entry))
  } catch (error) {
    throw hasCode(error, 'BANYAN_LEASE_LOST') ? unknown(error) : error
  }
  return instance
}
