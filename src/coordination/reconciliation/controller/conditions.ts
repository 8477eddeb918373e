import type { ResourceDefinition } from '../../resources/define.js'
import type { ResourceSchema } from '../../resources/schema/content.js'
import { isObject } from '../../resources/schema/is-object.js'
import { timestamp } from '../../resources/timestamp.js'

/** Something that is true of a resource, or not, in the form of Kubernetes. */
export interface Condition {
  /** What: `Ready`, `Stalled`. There is one of each. */
  readonly type: string
  readonly status: 'True' | 'False' | 'Unknown'
  /** Why, in one word for programs: `PricesWritten`. */
  readonly reason: string
  /** Why, for people. */
  readonly message: string
  /** Since when, as of RFC 3339. */
  readonly lastTransitionTime: string
  /** Of which generation of the resource this is said. */
  readonly observedGeneration: number
}

/** A condition as a reconcile sets it. */
export interface ConditionDraft {
  type: string
  status: 'True' | 'False' | 'Unknown' | boolean
  /** Default: the type. */
  reason?: string
  /** Default `''`. */
  message?: string
}

/** Conditions with one of them set, as the kind has them; the time is kept while its status stays. */
export function withCondition(
  kind: ResourceDefinition,
  conditions: readonly Condition[],
  { type, status: given, reason = type, message = '' }: ConditionDraft,
  generation: number,
  wall: number,
): readonly Condition[] {
  const status = typeof given === 'boolean' ? (given ? 'True' : 'False') : given
  const before = conditions.find((each) => each.type === type)
  const lastTransitionTime = before?.status === status ? before.lastTransitionTime : timestamp(wall)
  const whole = { type, status, reason, message, lastTransitionTime, observedGeneration: generation }
  // Fields that the kind does not have would be refused, and the whole status with them.
  const schema = schemaOfConditions(kind)
  const known = Object.entries(whole).filter(([field]) => allows(schema, field))
  const next = Object.fromEntries(known) as unknown as Condition
  return before ? conditions.map((each) => (each === before ? next : each)) : [...conditions, next]
}

/** What a status has of conditions. */
export function conditionsOf(status: unknown): readonly Condition[] {
  const conditions = isObject(status) ? status['conditions'] : undefined
  return Array.isArray(conditions) ? (conditions as Condition[]) : []
}

/**
 * Whether the statuses of a kind may have such a field.
 *
 * @param how - `named`: only if the schema names it, and does not just let it pass
 */
export function statusHas({ status }: ResourceDefinition, field: string, how?: 'named'): boolean {
  return isObject(status) && (how === 'named' ? names(status, field) : allows(status, field))
}

/** What the kind says of each condition; `{}` if it says nothing. */
function schemaOfConditions({ status }: ResourceDefinition): ResourceSchema {
  const conditions = isObject(status) && names(status, 'conditions') && status.properties['conditions']
  return isObject(conditions) && isObject(conditions['items']) ? conditions['items'] : {}
}

/** Whether objects of a schema may have such a field. */
function allows(schema: ResourceSchema, field: string): boolean {
  if (names(schema, field)) return true
  const { properties, additionalProperties = true } = schema
  const isOpen = properties === undefined && additionalProperties !== false
  return isOpen || schema['x-kubernetes-preserve-unknown-fields'] === true
}

function names(
  schema: ResourceSchema,
  field: string,
): schema is { readonly properties: Record<string, unknown> } {
  const { properties } = schema
  return isObject(properties) && Object.hasOwn(properties, field)
}
