import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { linearPattern } from './patterns.js'

/** Where a value breaks its schema. */
export interface Violation {
  /** JSON Pointer in the value, as a fragment. */
  pointer: string
  detail: string
}

/**
 * Checks a value; no violations if it is right.
 *
 * @param size - of the value, in bytes; of a large one only the first violation is told
 */
export type Validator = (value: unknown, size: number) => readonly Violation[]

/** Values up to this many bytes are searched for every violation: a large one could have millions. */
const SMALL_BYTES = 64 * 1024

/** What the bundle of schemas is referred to by. */
export const BUNDLE = 'urn:banyan:schemas'

/** Schemas by name, compiled by Ajv when they are first used. */
export class Validators {
  readonly #definitions: Readonly<Record<string, unknown>>
  readonly #mostErrors: number
  #first: Compiled | undefined = undefined
  #all: Compiled | undefined = undefined

  constructor(definitions: Readonly<Record<string, unknown>>, mostErrors: number) {
    this.#definitions = definitions
    this.#mostErrors = mostErrors
  }

  violations(name: string, value: unknown, size: number): readonly Violation[] {
    const compiled =
      size <= SMALL_BYTES
        ? (this.#all ??= new Compiled(this.#definitions, true))
        : (this.#first ??= new Compiled(this.#definitions, false))
    const validate = compiled.get(name)
    return validate(value) ? [] : violationsOf(validate.errors ?? [], this.#mostErrors)
  }
}

class Compiled {
  readonly #ajv: Ajv2020
  readonly #functions = new Map<string, ValidateFunction>()
  readonly #patterns = new Map<string, RegExp>()

  constructor(definitions: Readonly<Record<string, unknown>>, allErrors: boolean) {
    const regExp = Object.assign((pattern: string) => this.#pattern(pattern), { code: '' })
    this.#ajv = new Ajv2020({
      strict: false,
      allErrors,
      validateSchema: false,
      logger: false,
      code: { regExp },
    })
    addFormats.default(this.#ajv)
    // The only format of the library whose time grows faster than the text.
    this.#ajv.addFormat('url', (text) => /^(?:https?|ftp):\/\//i.test(text) && URL.canParse(text))
    this.#ajv.addSchema({ $id: BUNDLE, $defs: definitions })
  }

  get(name: string): ValidateFunction {
    let validate = this.#functions.get(name)
    if (!validate) {
      validate = this.#ajv.getSchema(`${BUNDLE}#/$defs/${name}`)!
      this.#functions.set(name, validate)
    }
    return validate
  }

  /** What Ajv asks for a pattern: it only tests, and tells patterns apart by their text. */
  #pattern(pattern: string): RegExp {
    let known = this.#patterns.get(pattern)
    if (!known) {
      const linear = linearPattern(pattern)
      known = { test: (text: string) => linear.test(text), toString: () => pattern } as RegExp
      this.#patterns.set(pattern, known)
    }
    return known
  }
}

/** Kept: compiling the meta-schema takes longer than most documents. */
let metaSchema: Ajv2020 | undefined

/** What is wrong with schemas by the meta-schema: path from the bundle's top, and why. */
export function schemaMistakes(
  definitions: Readonly<Record<string, unknown>>,
): { path: string[]; message: string }[] {
  metaSchema ??= new Ajv2020({ strict: false, allErrors: true, logger: false })
  const ajv = metaSchema
  const $schema = 'https://json-schema.org/draft/2020-12/schema'
  if (ajv.validateSchema({ $schema, $defs: definitions }) === true) return []
  return (ajv.errors ?? []).map(({ instancePath, message = 'is not valid', params }) => ({
    path: instancePath
      .split('/')
      .slice(2)
      .map((part) => part.replace(/~1/g, '/').replace(/~0/g, '~')),
    message: message + allowedValues(params),
  }))
}

function violationsOf(errors: readonly ErrorObject[], most: number): Violation[] {
  const violations = new Map<string, Violation>()
  for (const { instancePath, message = 'is not valid', params, keyword } of errors) {
    // Says only that what stands under `then` or `else` is wrong, which is told by itself.
    if (keyword === 'if') continue
    const { additionalProperty, unevaluatedProperty, missingProperty } = params as Record<
      string,
      string | undefined
    >
    const property = additionalProperty ?? unevaluatedProperty ?? missingProperty
    const pointer = `#${encode(instancePath)}${property === undefined ? '' : `/${encode(escape(property))}`}`
    const detail =
      missingProperty !== undefined
        ? 'is missing'
        : property !== undefined
          ? 'is not a property that may be here'
          : message + allowedValues(params)
    violations.set(`${pointer} ${detail}`, { pointer, detail })
    if (violations.size >= most) break
  }
  return [...violations.values()]
}

function escape(name: string): string {
  return name.replace(/~/g, '~0').replace(/\//g, '~1')
}

/** As a fragment may hold it; a client's text may be half of a surrogate pair. */
function encode(pointer: string): string {
  return encodeURI(Buffer.from(pointer).toString())
}

/** The values of `enum` and `const`, unless they are many. */
function allowedValues(params: Readonly<Record<string, unknown>>): string {
  const values = params['allowedValues'] ?? ('allowedValue' in params ? [params['allowedValue']] : undefined)
  if (!Array.isArray(values) || values.length > 10) return ''
  return `: ${values.map((value) => JSON.stringify(value)).join(', ')}`
}
