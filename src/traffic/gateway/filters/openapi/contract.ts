import { OpenApiDocument } from './document.js'
import type { MediaType, Operation, Parameter } from './operation.js'
import { ParameterReader, type RawParameters } from './parameters.js'
import { Schemas } from './schemas.js'
import { formatPointer, type DocumentProblem, type Pointer } from './source.js'
import type { Validator } from './validator.js'

/** A media type with what checks its values. */
export interface CheckedMedia extends MediaType {
  readonly validate: Validator | undefined
}

/** A parameter with what checks its value. */
export interface CheckedParameter {
  readonly parameter: Parameter
  readonly validate: Validator | undefined
}

/** An operation ready to check with. */
export interface CheckedOperation {
  readonly operation: Operation
  readonly parameters: readonly CheckedParameter[]
  readonly body: { readonly required: boolean; readonly content: readonly CheckedMedia[] } | undefined
  readonly responses: ReadonlyMap<string, readonly CheckedMedia[]>
}

/** The operation that a request asks for. */
export interface OperationMatch {
  readonly checked: CheckedOperation
  /** Parts of the path, percent-encoded. */
  readonly parts: ReadonlyMap<string, string>
}

/** The operation that a request asks for, or the methods that its path has instead. */
export type Found = OperationMatch | { readonly allowed: readonly string[] }

/** What a document promises, ready to be checked. */
export class Contract {
  readonly document: OpenApiDocument
  readonly #reader: ParameterReader
  readonly #base: string
  /** By the number of segments; within, what goes first stands first. */
  readonly #operations = new Map<number, CheckedOperation[]>()

  /**
   * @param text - the document
   * @param base - what comes before its paths; default the path of its first server
   */
  constructor(text: string, base: string | undefined, mostErrors: number) {
    const document = new OpenApiDocument(text)
    this.document = document
    this.#reader = new ParameterReader(document)
    this.#base = (base ?? document.base).replace(/\/+$/, '')
    const requests = new Schemas(document, 'request', mostErrors)
    const responses = new Schemas(document, 'response', mostErrors)
    for (const operation of document.operations) {
      const count = segmentsOf(operation.path.text).length
      const group = this.#operations.get(count) ?? []
      group.push(check(operation, requests, responses))
      this.#operations.set(count, group)
    }
    // Once is enough: both differ only in what is required.
    requests.check()
    responses.check()
  }

  /** Everything that is wrong in the document, each thing once. */
  get problems(): readonly DocumentProblem[] {
    const seen = new Map<string, DocumentProblem>()
    for (const problem of this.document.problems)
      seen.set(`${formatPointer(problem.pointer)} ${problem.message}`, problem)
    return [...seen.values()].sort((a, b) => a.line - b.line || a.column - b.column)
  }

  /** @param path - at the service, percent-encoded, without the query */
  find(method: string, path: string): Found | undefined {
    if (!path.startsWith(`${this.#base}/`) && path !== this.#base) return undefined
    const segments = segmentsOf(path.slice(this.#base.length) || '/')
    const allowed = new Set<string>()
    let head: Found | undefined
    for (const checked of this.#operations.get(segments.length) ?? []) {
      const { operation } = checked
      const parts = operation.path.match(segments)
      if (!parts) continue
      if (operation.method === method) return { checked, parts }
      // Whoever answers GET answers HEAD (RFC 9110 9.3.2).
      if (method === 'HEAD' && operation.method === 'GET') head ??= { checked, parts }
      allowed.add(operation.method)
    }
    return head ?? (allowed.size > 0 ? { allowed: [...allowed].sort() } : undefined)
  }

  /** @throws `StyleError` */
  readParameter(parameter: Parameter, raw: RawParameters): unknown {
    return this.#reader.read(parameter, raw)
  }

  /** @throws `StyleError` */
  readForm(text: string, schema: Pointer | undefined): Record<string, unknown> {
    return this.#reader.readForm(text, schema)
  }
}

/** The media type of a document that takes a Content-Type: the exact one, a range of its type, or any. */
export function mediaFor(
  content: readonly CheckedMedia[],
  contentType: string | undefined,
): CheckedMedia | undefined {
  const type = contentType?.split(';', 1)[0]!.trim().toLowerCase()
  if (type === undefined || type === '') return undefined
  const range = `${type.split('/', 1)[0]!}/*`
  for (const wanted of [type, range, '*/*']) {
    const found = content.find((media) => media.type === wanted)
    if (found) return found
  }
  return undefined
}

function check(operation: Operation, requests: Schemas, responses: Schemas): CheckedOperation {
  const withValidator = (schemas: Schemas, media: MediaType): CheckedMedia => ({
    ...media,
    validate: media.schema && schemas.validator(media.schema),
  })
  const { body } = operation
  return {
    operation,
    parameters: operation.parameters.map((parameter) => ({
      parameter,
      validate: parameter.schema && requests.validator(parameter.schema),
    })),
    body: body && { ...body, content: body.content.map((media) => withValidator(requests, media)) },
    responses: new Map(
      Array.from(operation.responses, ([status, content]) => [
        status,
        content.map((media) => withValidator(responses, media)),
      ]),
    ),
  }
}

function segmentsOf(path: string): string[] {
  return path.slice(1).split('/')
}
