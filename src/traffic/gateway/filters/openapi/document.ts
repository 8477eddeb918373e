import { DocumentSource, parsePointer, type DocumentProblem, type Pointer } from './source.js'
import type { MediaType, Operation, Parameter, ParameterPlace } from './operation.js'
import { PathTemplate } from './path-template.js'

/** An object of the document; nothing of it is believed before it was looked at. */
export type JsonObject = Readonly<Record<string, unknown>>

const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'] as const

/** The styles that each place knows, its default first. */
const STYLES: Readonly<Record<ParameterPlace, readonly string[]>> = {
  path: ['simple', 'label', 'matrix'],
  query: ['form', 'spaceDelimited', 'pipeDelimited', 'deepObject'],
  header: ['simple'],
  cookie: ['form'],
}

/** Fields that a document may not describe as parameters (OpenAPI 3.1, 4.8.12.2). */
const NO_PARAMETERS = new Set(['accept', 'content-type', 'authorization'])

/** References in a row; more go round in a circle. */
const MOST_HOPS = 32

/**
 * An OpenAPI document, read once: 3.1, and 3.0 with its older dialect of schemas. Everything that is wrong in it is
 * found at once. References are followed inside the document only: nothing is ever loaded from elsewhere.
 */
export class OpenApiDocument {
  readonly root: JsonObject
  readonly operations: readonly Operation[]
  /** Whether schemas are those of 3.0. */
  readonly isOld: boolean
  /** Path of the first server, without a slash at its end. */
  readonly base: string
  readonly #source: DocumentSource

  constructor(text: string) {
    this.#source = new DocumentSource(text)
    const { value } = this.#source
    this.root = isObject(value) ? value : {}
    const version = this.root['openapi']
    this.isOld = typeof version === 'string' && version.startsWith('3.0.')
    this.base = ''
    this.operations = []
    if (this.#source.problems.length > 0) return
    if (!isObject(value) || typeof version !== 'string' || !/^3\.[01]\./.test(version)) {
      this.report(
        ['openapi'],
        `must be an OpenAPI document of version 3.1 or 3.0, got ${version === undefined ? 'nothing' : JSON.stringify(version)}`,
      )
      return
    }
    this.base = this.#readBase()
    this.operations = this.#readPaths()
  }

  get problems(): readonly DocumentProblem[] {
    return this.#source.problems
  }

  report(pointer: Pointer, message: string): void {
    this.#source.report(pointer, message)
  }

  /** What stands at a place, after every reference from there. */
  resolve(pointer: Pointer): { value: unknown; pointer: Pointer } | undefined {
    let at = pointer
    for (let hops = 0; hops < MOST_HOPS; hops++) {
      const value = this.at(at)
      if (!isObject(value) || typeof value['$ref'] !== 'string') return { value, pointer: at }
      const next = this.target(value['$ref'], [...at, '$ref'])
      if (!next) return undefined
      at = next
    }
    this.report(pointer, 'refers to itself')
    return undefined
  }

  /** Where a reference leads; reports one that leads nowhere, or out of the document. */
  target(reference: string, from: Pointer): Pointer | undefined {
    const pointer = parsePointer(reference)
    if (!pointer) {
      this.report(
        from,
        `only references inside the document, such as \`#/components/schemas/Name\`, are followed; got \`${reference}\``,
      )
      return undefined
    }
    if (this.at(pointer) !== undefined) return pointer
    this.report(from, `there is no \`${reference}\``)
    return undefined
  }

  /** What stands at a place. */
  at(pointer: Pointer): unknown {
    let value: unknown = this.root
    for (const part of pointer) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined
      value = (value as Record<string | number, unknown>)[part]
    }
    return value
  }

  #readBase(): string {
    const url = this.at(['servers', 0, 'url'])
    if (typeof url !== 'string') return ''
    const filled = url.replace(/\{([^}]*)\}/g, (_, name: string) => {
      const value = this.at(['servers', 0, 'variables', name, 'default'])
      return typeof value === 'string' ? value : ''
    })
    const path = /^(?:[a-z][a-z0-9+.-]*:)?(?:\/\/[^/?#]*)?([^?#]*)/i.exec(filled)?.[1] ?? ''
    return path.replace(/\/+$/, '')
  }

  #readPaths(): Operation[] {
    const paths = this.root['paths']
    if (paths === undefined) return []
    if (!isObject(paths)) {
      this.report(['paths'], 'must be an object')
      return []
    }
    const operations: Operation[] = []
    const seen = new Map<string, string>()
    for (const path of Object.keys(paths)) {
      if (!path.startsWith('/')) {
        if (!path.startsWith('x-')) this.report(['paths', path], 'a path must begin with a slash')
        continue
      }
      const template = new PathTemplate(path)
      const twin = seen.get(template.shape)
      if (twin !== undefined)
        this.report(['paths', path], `is the same as \`${twin}\` but for the names of its parts`)
      seen.set(template.shape, path)
      const item = this.resolve(['paths', path])
      if (!item || !isObject(item.value)) continue
      for (const method of METHODS) {
        if (isObject(item.value[method])) operations.push(this.#readOperation(method, template, item.pointer))
      }
    }
    return operations.sort((a, b) => a.path.compare(b.path))
  }

  #readOperation(method: string, path: PathTemplate, item: Pointer): Operation {
    const pointer = [...item, method]
    const parameters = new Map<string, Parameter>()
    for (const owner of [item, pointer]) {
      for (const parameter of this.#readParameters([...owner, 'parameters'])) {
        parameters.set(`${parameter.in} ${parameter.name}`, parameter)
      }
    }
    for (const name of path.names) {
      if (!parameters.has(`path ${name}`))
        this.report(pointer, `the part \`{${name}}\` of the path has no parameter`)
    }
    return {
      method: method.toUpperCase(),
      path,
      pointer,
      parameters: [...parameters.values()],
      body: this.#readBody([...pointer, 'requestBody']),
      responses: this.#readResponses([...pointer, 'responses']),
    }
  }

  #readParameters(pointer: Pointer): Parameter[] {
    const list = this.at(pointer)
    if (list === undefined) return []
    if (!Array.isArray(list)) {
      this.report(pointer, 'must be a list')
      return []
    }
    return list.flatMap((_, index) => this.#readParameter([...pointer, index]) ?? [])
  }

  #readParameter(place: Pointer): Parameter | undefined {
    const found = this.resolve(place)
    if (!found) return undefined
    const { value, pointer } = found
    if (!isObject(value) || typeof value['name'] !== 'string' || !isPlace(value['in'])) {
      this.report(place, 'a parameter must have a `name`, and `in` of path, query, header or cookie')
      return undefined
    }
    const { name, in: where } = value
    if (where === 'header' && NO_PARAMETERS.has(name.toLowerCase())) return undefined
    const style = value['style'] ?? STYLES[where][0]!
    if (typeof style !== 'string' || !STYLES[where].includes(style)) {
      this.report(
        [...place, 'style'],
        `must be one of ${STYLES[where].join(', ')} for a parameter in ${where}`,
      )
      return undefined
    }
    const [media] = this.#readContent([...pointer, 'content'])
    return {
      name,
      in: where,
      required: where === 'path' || value['required'] === true,
      style,
      explode: typeof value['explode'] === 'boolean' ? value['explode'] : style === 'form',
      schema: media ? media.schema : value['schema'] === undefined ? undefined : [...pointer, 'schema'],
      isJson: media !== undefined,
    }
  }

  #readBody(place: Pointer): Operation['body'] {
    if (this.at(place) === undefined) return undefined
    const found = this.resolve(place)
    if (!found || !isObject(found.value)) return undefined
    return {
      required: found.value['required'] === true,
      content: this.#readContent([...found.pointer, 'content']),
    }
  }

  #readResponses(pointer: Pointer): Operation['responses'] {
    const responses = new Map<string, readonly MediaType[]>()
    const value = this.at(pointer)
    if (!isObject(value)) return responses
    for (const status of Object.keys(value)) {
      const found = this.resolve([...pointer, status])
      if (found) responses.set(status.toUpperCase(), this.#readContent([...found.pointer, 'content']))
    }
    return responses
  }

  #readContent(pointer: Pointer): MediaType[] {
    const content = this.at(pointer)
    if (!isObject(content)) return []
    return Object.entries(content).map(([name, media]) => ({
      type: name.split(';', 1)[0]!.trim().toLowerCase(),
      schema: isObject(media) && media['schema'] !== undefined ? [...pointer, name, 'schema'] : undefined,
    }))
  }
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isPlace(value: unknown): value is ParameterPlace {
  return typeof value === 'string' && Object.hasOwn(STYLES, value)
}
