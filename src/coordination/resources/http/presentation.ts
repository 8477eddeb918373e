import type { HandlerRequest } from '../../../core/http-handler.js'
import type { Bookmark } from '../api.js'
import type { ResourceDefinition } from '../define.js'
import type { Resource, ResourceList } from '../object.js'
import { formOf, type Form } from './negotiate.js'
import { invalid } from './parameters.js'
import { partialObjectMetadata, tableOf, type IncludeObject } from './table.js'

const INCLUDED: readonly IncludeObject[] = ['None', 'Metadata', 'Object']

/** A list whose items are still to be written. */
export interface ListParts {
  /** Everything but the items. */
  readonly head: object
  /** The field that the items are in. */
  readonly field: 'items' | 'rows'
  /** How many there are. */
  readonly count: number
  readonly item: (index: number) => unknown
}

/** How a client wants to see resources. */
export class Presentation {
  readonly form: Form
  readonly #kind: ResourceDefinition
  readonly #includeObject: IncludeObject
  readonly #now: () => number

  /**
   * @param now - ms since 1970
   * @throws 406, 422
   */
  constructor(kind: ResourceDefinition, request: HandlerRequest, now: () => number) {
    this.form = formOf(request.field('accept'))
    this.#kind = kind
    this.#now = now
    const include = (request.query.get('includeObject') ?? 'Metadata') as IncludeObject
    if (!INCLUDED.includes(include))
      throw invalid('TableOptions', 'includeObject', `Unsupported value: ${JSON.stringify(include)}`)
    this.#includeObject = include
  }

  one(resource: Resource): object {
    switch (this.form) {
      case 'object':
        return resource
      case 'metadata':
        return partialObjectMetadata(resource)
      case 'table':
        return this.#table(resource)
    }
  }

  /** What is told of a resource that is watched; only the first table says what its columns are. */
  event(object: Resource | Bookmark, isFirst: boolean): object {
    const presented = this.one(object as Resource)
    return this.form === 'table' && !isFirst ? { ...presented, columnDefinitions: [] } : presented
  }

  list(list: ResourceList): ListParts {
    const { items, ...head } = list
    const count = items.length
    switch (this.form) {
      case 'object':
        return { head, field: 'items', count, item: (index) => items[index] }
      case 'metadata': {
        const partial = { ...head, kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1' }
        return { head: partial, field: 'items', count, item: (index) => partialObjectMetadata(items[index]!) }
      }
      case 'table': {
        const { rows, ...rest } = this.#table(list)
        return { head: rest, field: 'rows', count, item: (index) => rows[index] }
      }
    }
  }

  #table(what: Resource | ResourceList): ReturnType<typeof tableOf> {
    return tableOf(this.#kind, what, { includeObject: this.#includeObject, now: this.#now() })
  }
}
