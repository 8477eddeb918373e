import { DEFAULT_ADMIN } from '../address.js'
import type { NodeSpec } from '../spec.js'
import { configSchema } from './schema/config.js'
import type { Source } from './yaml-source.js'

const eventLogSchema = configSchema.pick({ events: true, admin: true })

/**
 * What a configuration says of its event log, whatever else of it is wrong: who wants to look at the log needs no more.
 *
 * @returns undefined if that is wrong, or if there is none
 */
export function eventLogIn({ value }: Source): Pick<NodeSpec, 'events' | 'admin'> | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { events, admin } = value as Record<string, unknown>
  const part = eventLogSchema.safeParse({ events, admin })
  if (!part.success || !part.data.events) return undefined
  return {
    events: part.data.events as NonNullable<NodeSpec['events']>,
    admin: part.data.admin ?? DEFAULT_ADMIN,
  }
}
