import { isDeepStrictEqual } from 'node:util'
import type { ResourceDefinition } from '../../resources/define.js'
import type { Resource } from '../../resources/object.js'
import { isObject } from '../../resources/schema/is-object.js'
import { conditionsOf, withCondition, type ConditionDraft } from './conditions.js'

/** What is to become of a status, until it is written. */
export class StatusDraft {
  readonly #fields = new Map<string, unknown>()
  readonly #conditions = new Map<string, ConditionDraft | undefined>()

  set(changes: object): void {
    for (const [field, value] of Object.entries(changes)) this.#fields.set(field, value)
  }

  /** Undefined takes a condition away. */
  condition(type: string, condition: ConditionDraft | undefined): void {
    this.#conditions.set(type, condition)
  }

  clear(): void {
    this.#fields.clear()
    this.#conditions.clear()
  }

  /** The status that a resource is to have; undefined if it has that. */
  of(kind: ResourceDefinition, resource: Resource, wall: number): unknown {
    if (this.#fields.size === 0 && !this.#changesConditions(resource)) return undefined
    const before = isObject(resource.status) ? resource.status : {}
    const next: Record<string, unknown> = { ...before, ...Object.fromEntries(this.#fields) }
    let conditions = conditionsOf(next)
    for (const [type, draft] of this.#conditions)
      conditions = draft
        ? withCondition(kind, conditions, draft, resource.metadata.generation, wall)
        : conditions.filter((each) => each.type !== type)
    if (conditions.length > 0 || conditionsOf(before).length > 0) next['conditions'] = conditions
    // As it would be read again.
    const written: unknown = JSON.parse(JSON.stringify(next))
    return isDeepStrictEqual(written, before) ? undefined : written
  }

  /** Most runs only take away what is not there. */
  #changesConditions({ status }: Resource): boolean {
    const has = conditionsOf(status)
    for (const [type, draft] of this.#conditions)
      if (draft || has.some((each) => each.type === type)) return true
    return false
  }
}
