import { createRequire } from 'node:module'
import type { Ajv2020, ErrorObject, ValidateFunction } from 'ajv/dist/2020.js'
import type { FormatsPlugin } from 'ajv-formats'
import { BanyanError } from '../../core/errors.js'
import { toJson } from '../json.js'
import type { EventProblem } from './invalid-event.js'
import type { Validator } from './validator.js'

/** A JSON Schema of draft 2020-12. */
export type JsonSchema = Readonly<Record<string, unknown>>

const DRAFT = 'https://json-schema.org/draft/2020-12/schema'
/** Text of data up to this length is searched for every problem: a large one could have millions. */
const SMALL_LENGTH = 64 * 1024

/**
 * The JSON Schemas of one registry, which may refer to each other by their keys, compiled by Ajv.
 *
 * Ajv is loaded when the first registry needs it, and at once, so that a registry that was made is a right one.
 */
export class JsonSchemas {
  readonly #schemas = new Map<string, JsonSchema>()
  #first: Ajv2020 | undefined
  #all: Ajv2020 | undefined

  /** @param key - what a `$ref` calls it: `Address.json` */
  add(key: string, schema: JsonSchema): void {
    const { $schema = DRAFT } = schema
    if (typeof $schema !== 'string' || $schema.replace(/#$/, '') !== DRAFT)
      throw invalid(key, `is of ${JSON.stringify($schema)}; only ${DRAFT} is understood`)
    this.#schemas.set(key, schema)
  }

  /**
   * Compiles a schema that was added, when all have been.
   *
   * @throws `BANYAN_INVALID_OPTIONS` if it is no schema, has an unknown keyword or format, or refers to nothing
   */
  validator(key: string): Validator {
    const schema = this.#schemas.get(key)!
    // Says nothing, and so takes bytes too.
    if (Object.keys(schema).length === 0) return (data) => ({ value: data })
    const first = compile((this.#first ??= this.#engine(false)), key)
    let all: ValidateFunction | undefined

    return (data, type) => {
      if (data instanceof Uint8Array) return { problems: [{ path: [], message: 'is bytes, not JSON' }] }
      // What is checked is what will be stored: a Date is text there.
      const text = data === undefined ? undefined : toJson(data, `data of ${type}`)
      const value: unknown = text === undefined ? undefined : JSON.parse(text)
      if (first(value)) return { value }
      if (text === undefined || text.length > SMALL_LENGTH) return { problems: problemsOf(first) }
      all ??= compile((this.#all ??= this.#engine(true)), key)
      all(value)
      return { problems: problemsOf(all) }
    }
  }

  #engine(allErrors: boolean): Ajv2020 {
    const load = createRequire(import.meta.url)
    const { Ajv2020: Engine } = load('ajv/dist/2020.js') as { Ajv2020: typeof Ajv2020 }
    const addFormats = load('ajv-formats') as FormatsPlugin
    const engine = new Engine({
      strict: true,
      strictTypes: false,
      strictTuples: false,
      strictRequired: false,
      allErrors,
      logger: false,
    })
    addFormats(engine)
    // The only format of the library whose time grows faster than the text.
    engine.addFormat('url', (text) => /^(?:https?|ftp):\/\//i.test(text) && URL.canParse(text))
    for (const [key, schema] of this.#schemas)
      try {
        engine.addSchema(schema, key)
      } catch (error) {
        throw invalid(key, messageOf(error), error)
      }
    return engine
  }
}

function compile(engine: Ajv2020, key: string): ValidateFunction {
  try {
    return engine.getSchema(key) as ValidateFunction
  } catch (error) {
    throw invalid(key, messageOf(error), error)
  }
}

function invalid(key: string, message: string, cause?: unknown): BanyanError {
  return new BanyanError(
    'BANYAN_INVALID_OPTIONS',
    `eventTypes: the JSON Schema ${key} ${message}`,
    cause === undefined ? {} : { cause },
  )
}

function messageOf(error: unknown): string {
  return `is not right: ${error instanceof Error ? error.message : String(error)}`
}

function problemsOf({ errors }: ValidateFunction): EventProblem[] {
  const problems = new Map<string, EventProblem>()
  for (const error of errors ?? []) {
    // Says only that what stands under `then` or `else` is wrong, which is told by itself.
    if (error.keyword === 'if') continue
    const problem = problemOf(error)
    problems.set(`${problem.path.join('/')} ${problem.message}`, problem)
  }
  return [...problems.values()]
}

function problemOf({ instancePath, message = 'is not valid', params }: ErrorObject): EventProblem {
  const { additionalProperty, unevaluatedProperty, missingProperty } = params as Record<
    string,
    string | undefined
  >
  const path = instancePath.split('/').slice(1).map(partOf)
  if (missingProperty !== undefined) return { path: [...path, missingProperty], message: 'is missing' }
  const extra = additionalProperty ?? unevaluatedProperty
  if (extra !== undefined) return { path: [...path, extra], message: 'is not a property that may be here' }
  return { path, message: message + allowedValues(params) }
}

function partOf(part: string): string | number {
  return /^\d+$/.test(part) ? Number(part) : part.replace(/~1/g, '/').replace(/~0/g, '~')
}

/** The values of `enum` and `const`, unless they are many. */
function allowedValues(params: Readonly<Record<string, unknown>>): string {
  const values = params['allowedValues'] ?? ('allowedValue' in params ? [params['allowedValue']] : undefined)
  if (!Array.isArray(values) || values.length > 10) return ''
  return `: ${values.map((value) => JSON.stringify(value)).join(', ')}`
}
