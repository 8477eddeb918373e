import { isToken } from '../../../http/characters.js'
import { Kind, kindOf } from '../../../http/fields.js'
import type { Expression, Reference } from '../shaping/expression.js'
import { TemplateChecker, type Known, type ShapingProblem } from '../shaping/template-checker.js'
import type { Template } from '../shaping/template.js'
import { RESPONSE_MEMBERS, type FieldTransform, type TransformSpec } from './spec.js'

/** Header fields that are set or taken away; `null` stands for taken away. */
export type FieldChanges = readonly (readonly [name: string, value: Template | null])[]

/** Changes of requests, ready to apply. */
export interface RequestPlan {
  readonly when: Expression | undefined
  /** Query parameters that are set or taken away, with their values. */
  readonly query: FieldChanges
  readonly headers: FieldChanges
  readonly body: Template | undefined
}

/** Changes of answers, ready to apply. */
export interface ResponsePlan {
  readonly when: Expression | undefined
  readonly status: Template | undefined
  readonly headers: FieldChanges
  readonly body: Template | undefined
  /** Whether the body must be read. */
  readonly readsBody: boolean
}

/** A transformation ready to run. */
export interface TransformPlan {
  readonly request: RequestPlan | undefined
  readonly response: ResponsePlan | undefined
  /** Everything that any expression reads. */
  readonly references: readonly Reference[]
  /** What expressions about answers read. */
  readonly responseReferences: readonly Reference[]
}

const REQUEST_ONLY: Known = {}
const HEAD_OF_RESPONSE: Known = { response: ['status', 'headers'] }
const RESPONSE: Known = { response: RESPONSE_MEMBERS }

/**
 * Checks a transformation.
 *
 * @param parameters - names of the `:name` parts of the route's path
 */
export function planTransform(
  spec: TransformSpec,
  parameters: readonly string[],
): { plan: TransformPlan | undefined; problems: readonly ShapingProblem[] } {
  const checker = new TemplateChecker(parameters, 'value')
  const request = spec.request && planRequest(spec.request, checker)
  const before = checker.references.length
  const response = spec.response && planResponse(spec.response, checker)
  const plan = {
    request,
    response,
    references: checker.references,
    responseReferences: checker.references.slice(before),
  }
  return { plan: checker.problems.length === 0 ? plan : undefined, problems: checker.problems }
}

function planRequest(spec: NonNullable<TransformSpec['request']>, checker: TemplateChecker): RequestPlan {
  const at = ['request']
  const { set, remove = [] } = spec.query ?? {}
  return {
    when: checker.expression(spec.when, [...at, 'when'], REQUEST_ONLY),
    query: [
      ...remove.map((name) => [name, null] as const),
      ...checker.templates(set, [...at, 'query', 'set'], REQUEST_ONLY),
    ],
    headers: planFields(spec.headers, [...at, 'headers'], REQUEST_ONLY, checker),
    body: 'body' in spec ? checker.template(spec.body, [...at, 'body'], REQUEST_ONLY) : undefined,
  }
}

function planResponse(spec: NonNullable<TransformSpec['response']>, checker: TemplateChecker): ResponsePlan {
  const at = ['response']
  const when = checker.expression(spec.when, [...at, 'when'], HEAD_OF_RESPONSE)
  const before = checker.references.length
  const body = 'body' in spec ? checker.template(spec.body, [...at, 'body'], RESPONSE) : undefined
  const status =
    spec.status === undefined ? undefined : checker.template(spec.status, [...at, 'status'], RESPONSE)
  const headers = planFields(spec.headers, [...at, 'headers'], RESPONSE, checker)
  const readsBody = checker.references
    .slice(before)
    .some(([name, member]) => name === 'response' && (member === undefined || member === 'body'))
  return { when, status, headers, body, readsBody: readsBody || body !== undefined }
}

function planFields(
  { set, remove = [] }: FieldTransform = {},
  path: readonly string[],
  known: Known,
  checker: TemplateChecker,
): FieldChanges {
  const names = [
    ...remove.map((name, index) => [name, [...path, 'remove', index], 'value'] as const),
    ...Object.keys(set ?? {}).map((name) => [name, [...path, 'set', name], 'key'] as const),
  ]
  for (const [name, place, at] of names) {
    const kind = kindOf(name)
    if (!isToken(name)) checker.report(place, `\`${name}\` is not a valid header name`, at)
    else if (kind !== Kind.Ordinary && kind !== Kind.Protected)
      checker.report(place, `\`${name}\` is set by the gateway itself and cannot be changed`, at)
  }
  return [...remove.map((name) => [name, null] as const), ...checker.templates(set, [...path, 'set'], known)]
}
