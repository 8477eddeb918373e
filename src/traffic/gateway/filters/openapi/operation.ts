import type { PathTemplate } from './path-template.js'
import type { Pointer } from './source.js'

/** Where a parameter stands in a request. */
export type ParameterPlace = 'path' | 'query' | 'header' | 'cookie'

/** A parameter of an operation. */
export interface Parameter {
  readonly name: string
  readonly in: ParameterPlace
  readonly required: boolean
  readonly style: string
  readonly explode: boolean
  /** Its schema, or that of the one media type under `content`, which is JSON then. */
  readonly schema: Pointer | undefined
  readonly isJson: boolean
}

/** One media type under `content`. */
export interface MediaType {
  /** As the document writes it, without parameters, in lower case. */
  readonly type: string
  readonly schema: Pointer | undefined
}

/** What one method of one path takes and gives. */
export interface Operation {
  readonly method: string
  readonly path: PathTemplate
  readonly pointer: Pointer
  readonly parameters: readonly Parameter[]
  readonly body: { readonly required: boolean; readonly content: readonly MediaType[] } | undefined
  /** By status, `4XX` or `default`. */
  readonly responses: ReadonlyMap<string, readonly MediaType[]>
}
