import { DEFAULT_ADMIN } from '../address.js'
import type { NodeSpec } from '../spec.js'
import { checkCoordination } from './meaning-of-coordination.js'
import { configSchema, type ConfigInput } from './schema/config.js'
import type { Source } from './yaml-source.js'

const coordinatorSchema = configSchema.pick({ coordination: true, admin: true })

/**
 * What a configuration says of its coordinator, whatever else of it is wrong: who works on that needs no more.
 *
 * @returns undefined if that is wrong, or if there is none
 */
export function coordinatorIn({ value }: Source): Pick<NodeSpec, 'coordination' | 'admin'> | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { coordination, admin } = value as Record<string, unknown>
  const part = coordinatorSchema.safeParse({ coordination, admin })
  if (!part.success || !part.data.coordination) return undefined
  const problems = [...checkCoordination(part.data as ConfigInput)]
  if (problems.some(({ severity }) => severity === 'error')) return undefined
  return {
    coordination: part.data.coordination as unknown as NonNullable<NodeSpec['coordination']>,
    admin: part.data.admin ?? DEFAULT_ADMIN,
  }
}
