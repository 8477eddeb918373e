import { createRequire } from 'node:module'
import type { Ajv2020, ErrorObject, ValidateFunction } from 'ajv/dist/2020.js'
import type { FormatsPlugin } from 'ajv-formats'
import { BanyanError } from '../../../core/errors.js'
import type { ResourceProblem } from '../error.js'
import { sameJson, type Json } from '../patch/json.js'
import { MergeSchema } from '../patch/merge-schema.js'
import { contentOf, fieldOf, type Content, type ResourceSchema } from './content.js'
import { prune } from './prune.js'
import { compileRules, type Rules } from './rules.js'
import { standardProblems, type StandardParts } from './standard.js'
import { wholeSchema } from './whole.js'

/** The schemas of a kind. */
export interface CompiledSchema {
  /** How resources of the kind are merged. */
  readonly merge: MergeSchema
  /**
   * Takes out what the kind does not have.
   *
   * @param content - is changed
   * @returns where it was: `spec.sped`
   */
  prune(content: Content): string[]
  /**
   * Fills in defaults, and finds everything that is wrong, in what is not as it was: what is older than its schema, and may be wrong
   * by now, is in nobody's way who does not touch it.
   *
   * @param content - is changed
   * @param before - what it was before this change
   */
  check(content: Content, before: Content | undefined): Promise<ResourceProblem[]>
}

/** Content up to this length, as text, is searched for every problem: a large one could have millions. */
const SMALL_LENGTH = 64 * 1024
/** What Kubernetes says in schemas, and Ajv need not know. */
const VOCABULARY = [
  'x-kubernetes-preserve-unknown-fields',
  'x-kubernetes-embedded-resource',
  'x-kubernetes-int-or-string',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-map-type',
  'x-kubernetes-validations',
]

/**
 * Compiles the schemas of a kind; Ajv is loaded when the first kind is defined.
 *
 * @param parts - JSON Schemas of spec and status
 * @param standard - what they must be like besides; it is asked where the JSON Schemas have nothing against them
 * @throws `BANYAN_INVALID_OPTIONS` if one is no schema, or a rule in it is none
 */
export function compileSchema(
  owner: string,
  parts: { spec: ResourceSchema; status?: ResourceSchema },
  standard: StandardParts,
): CompiledSchema {
  const schema: ResourceSchema = { type: 'object', properties: parts }
  const isRequired = Object.keys(parts.spec).length > 0
  let all: ValidateFunction
  let rules: Rules
  try {
    all = engine(true).compile(schema)
    rules = compileRules(schema)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw new BanyanError('BANYAN_INVALID_OPTIONS', `${owner}: the schema is not right: ${message}`, {
      cause: error,
    })
  }
  let first: ValidateFunction | undefined
  return {
    merge: new MergeSchema(wholeSchema(parts)),
    prune: (content) => prune(schema, content),
    async check(content, before) {
      const changed = changesOf(content, before)
      const small = JSON.stringify(changed).length <= SMALL_LENGTH
      const validate = small ? all : (first ??= engine(false).compile(schema))
      const problems = validate(changed) ? [] : problemsOf(validate.errors ?? [])
      Object.assign(content, changed)
      if (isRequired && content.spec === undefined && (!before || before.spec !== undefined))
        problems.unshift(required(['spec']))
      if (problems.length > 0) return problems
      return [...rules(changed, before), ...(await standardProblems(standard, changed))]
    },
  }
}

/** The parts that are not as they were. */
function changesOf(content: Content, before: Content = {}): Content {
  const { spec, status } = content
  return contentOf({
    ...(!sameJson(spec as Json, before.spec as Json) && { spec }),
    ...(!sameJson(status as Json, before.status as Json) && { status }),
  })
}

function engine(allErrors: boolean): Ajv2020 {
  const load = createRequire(import.meta.url)
  const { Ajv2020: Engine } = load('ajv/dist/2020.js') as { Ajv2020: typeof Ajv2020 }
  const addFormats = load('ajv-formats') as FormatsPlugin
  const ajv = new Engine({
    strict: true,
    strictTypes: false,
    strictTuples: false,
    strictRequired: false,
    useDefaults: true,
    allErrors,
    logger: false,
  })
  addFormats(ajv)
  // The only format of the library whose time grows faster than the text.
  ajv.addFormat('url', (text) => /^(?:https?|ftp):\/\//i.test(text) && URL.canParse(text))
  ajv.addVocabulary(VOCABULARY)
  return ajv
}

function problemsOf(errors: readonly ErrorObject[]): ResourceProblem[] {
  const problems = new Map<string, ResourceProblem>()
  for (const error of errors) {
    // Says only that what stands under `then` or `else` is wrong, which is told by itself.
    if (error.keyword === 'if') continue
    const problem = problemOf(error)
    problems.set(`${problem.field} ${problem.message}`, problem)
  }
  return [...problems.values()]
}

function problemOf({
  instancePath,
  keyword,
  message = 'is not valid',
  params,
}: ErrorObject): ResourceProblem {
  const given = params as Readonly<Record<string, unknown>>
  const parts = instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replace(/~1/g, '/').replace(/~0/g, '~'))
  const extra = given['additionalProperty'] ?? given['unevaluatedProperty']
  if (typeof given['missingProperty'] === 'string') return required([...parts, given['missingProperty']])
  if (typeof extra === 'string')
    return {
      reason: 'FieldValueForbidden',
      field: fieldOf([...parts, extra]),
      message: 'Forbidden: is not a property that may be here',
    }
  const field = fieldOf(parts)
  if (keyword === 'enum') {
    const values = (given['allowedValues'] as unknown[]).slice(0, 10).map((value) => JSON.stringify(value))
    return {
      reason: 'FieldValueNotSupported',
      field,
      message: `Unsupported value: supported values: ${values.join(', ')}`,
    }
  }
  if (keyword === 'const') message += `: ${JSON.stringify(given['allowedValue'])}`
  return {
    reason: keyword === 'type' ? 'FieldValueTypeInvalid' : 'FieldValueInvalid',
    field,
    message: `Invalid value: ${message}`,
  }
}

function required(path: readonly string[]): ResourceProblem {
  return { reason: 'FieldValueRequired', field: fieldOf(path), message: 'Required value' }
}
