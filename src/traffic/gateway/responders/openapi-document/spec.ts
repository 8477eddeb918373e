/** Answers with one OpenAPI document of what the gateway serves. */
export interface OpenApiDocumentSpec {
  /** Of the whole API. */
  title: string
  /** Of the whole API, for those who use it. */
  version: string
  description?: string
  /** URLs under which clients reach the gateway. Default: where the document itself was asked for. */
  servers?: string[]
  /** Names of the routes that are described. Default: all but this one. */
  routes?: string[]
}
