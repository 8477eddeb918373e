import { createRequire } from 'node:module'
import type { Environment } from '@marcbachmann/cel-js'
import type { ResourceProblem } from '../error.js'
import { fieldOf, type Content, type ResourceSchema } from './content.js'
import { isObject } from './is-object.js'
import { schemasOf, withReferred } from './references.js'

/** Everything that rules have against a content. */
export type Rules = (content: Content, before: Content | undefined) => ResourceProblem[]

/** A rule as it stands under `x-kubernetes-validations`. */
interface RuleSource {
  readonly rule: string
  readonly message?: string
  /** Says what is wrong, in place of `message`. */
  readonly messageExpression?: string
  readonly reason?: ResourceProblem['reason']
  /** Which field is told, below the one with the rule: `.count`. */
  readonly fieldPath?: string
}

interface Rule {
  readonly holds: Program
  readonly text: Program | undefined
  readonly source: RuleSource
  readonly comparing: boolean
}

type Program = (facts: Record<string, unknown>) => unknown

const LIMITS = {
  maxAstNodes: 1024,
  maxDepth: 64,
  maxListElements: 256,
  maxMapEntries: 256,
  maxCallArguments: 16,
}

/**
 * The rules in a schema: `x-kubernetes-validations` of Kubernetes, in the Common Expression Language (cel.dev). Whole numbers are
 * `int` where the schema says `integer`, `double` elsewhere. A rule that speaks of `oldSelf` is asked only where there was
 * something before; in lists nothing was, as their items cannot be told apart.
 *
 * @throws if one is no expression
 */
export function compileRules(schema: ResourceSchema): Rules {
  let environment: Environment | undefined
  const compiled = new Map<object, readonly Rule[]>()
  collect(schema)
  if ([...compiled.values()].every((rules) => rules.length === 0)) return () => []
  return (content, before) => {
    const problems: ResourceProblem[] = []
    ask(schema, content, before, [], problems)
    return problems
  }

  function collect(at: unknown): void {
    // A schema may refer to one that it is in.
    if (!isObject(at) || compiled.has(at)) return
    const sources = at['x-kubernetes-validations']
    compiled.set(at, Array.isArray(sources) ? (sources as RuleSource[]).map(compile) : [])
    schemasOf(at, schema).slice(1).forEach(collect)
    if (isObject(at['properties'])) Object.values(at['properties']).forEach(collect)
    collect(at['additionalProperties'])
    collect(at['items'])
  }

  function compile(source: RuleSource): Rule {
    environment ??= newEnvironment()
    return {
      holds: environment.parse(source.rule),
      text: source.messageExpression === undefined ? undefined : environment.parse(source.messageExpression),
      source,
      comparing: /\boldSelf\b/.test(source.rule),
    }
  }

  function ask(
    of: unknown,
    self: unknown,
    before: unknown,
    path: readonly (string | number)[],
    problems: ResourceProblem[],
  ): void {
    const at = withReferred(of, schema)
    if (!at || self === undefined) return
    for (const rule of schemasOf(of, schema).flatMap((each) => compiled.get(each) ?? [])) {
      if (rule.comparing && before === undefined) continue
      const facts = { self: factOf(of, self, schema), oldSelf: factOf(of, before, schema) }
      const problem = judge(rule, facts, fieldOf(path))
      if (problem) problems.push(problem)
    }
    if (Array.isArray(self))
      self.forEach((item, index) => ask(at['items'], item, undefined, [...path, index], problems))
    if (!isObject(self)) return
    for (const [name, value] of Object.entries(self)) {
      const was = isObject(before) && Object.hasOwn(before, name) ? before[name] : undefined
      ask(schemaOf(at, name), value, was, [...path, name], problems)
    }
  }
}

function newEnvironment(): Environment {
  const load = createRequire(import.meta.url)
  const cel = load('@marcbachmann/cel-js') as { Environment: typeof Environment }
  return new cel.Environment({ limits: LIMITS })
    .registerVariable('self', 'dyn')
    .registerVariable('oldSelf', 'dyn')
}

function judge(
  { holds, text, source }: Rule,
  facts: Record<string, unknown>,
  at: string,
): ResourceProblem | undefined {
  const field = `${at}${source.fieldPath ?? ''}`
  const reason = source.reason ?? 'FieldValueInvalid'
  try {
    if (holds(facts) === true) return undefined
  } catch (error) {
    // A rule that cannot be asked holds nothing back in silence.
    const [why] = (error as Error).message.split('\n')
    return { reason, field, message: `Invalid value: the rule ${source.rule} cannot be asked: ${why}` }
  }
  return {
    reason,
    field,
    message: `Invalid value: ${told(text, facts) ?? source.message ?? `failed rule: ${source.rule}`}`,
  }
}

function told(text: Program | undefined, facts: Record<string, unknown>): string | undefined {
  if (!text) return undefined
  try {
    const message = text(facts)
    return typeof message === 'string' && message !== '' ? message : undefined
  } catch {
    return undefined
  }
}

/** Of a field inside of what `at` describes. */
function schemaOf(at: Readonly<Record<string, unknown>>, name: string): unknown {
  const properties = at['properties']
  return isObject(properties) && Object.hasOwn(properties, name)
    ? properties[name]
    : at['additionalProperties']
}

/** A value as the language has it. */
function factOf(of: unknown, value: unknown, root: unknown): unknown {
  const at = withReferred(of, root)
  if (!at) return value
  // What was there before need not be as the schema is by now.
  if (typeof value === 'number')
    return at['type'] === 'integer' && Number.isInteger(value) ? BigInt(value) : value
  if (Array.isArray(value)) return value.map((item) => factOf(at['items'], item, root))
  if (!isObject(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, part]) => [name, factOf(schemaOf(at, name), part, root)]),
  )
}
