import { BanyanError } from '../../../../core/errors.js'
import { suggest } from '../../../../core/suggest.js'
import { Expression, type Reference } from './expression.js'
import { REQUEST_MEMBERS } from './request-scope.js'
import { Template, templateProblems, type TemplatePath } from './template.js'

/** Something wrong in a specification with expressions, with its place there. */
export interface ShapingProblem {
  path: TemplatePath
  message: string
  at?: 'key' | 'value'
}

/** What expressions at some place may read besides `request`: by name, the members, or `undefined` for any. */
export type Known = Readonly<Record<string, readonly string[] | undefined>>

/** Compiles the expressions of a specification, and collects everything that is wrong with them. */
export class TemplateChecker {
  readonly problems: ShapingProblem[] = []
  /** Everything that any expression reads. */
  readonly references: Reference[] = []
  readonly #parameters: readonly string[]
  /** What the names besides `request` are called. */
  readonly #kind: string

  /** @param parameters - names of the `:name` parts of the route's path */
  constructor(parameters: readonly string[], kind: string) {
    this.#parameters = parameters
    this.#kind = kind
  }

  report(path: TemplatePath, message: string, at: 'key' | 'value' = 'value'): void {
    if (!this.problems.some((each) => each.message === message && String(each.path) === String(path)))
      this.problems.push({ path, message, at })
  }

  template(value: unknown, path: TemplatePath, known: Known): Template {
    const problems = templateProblems(value)
    for (const problem of problems) this.report([...path, ...problem.path], problem.message)
    if (problems.length > 0) return new Template(null)
    // Text by text, so that what is unknown is told with its own place.
    for (const [place, text] of textsOf(value))
      this.check(new Template(text).references, [...path, ...place], known)
    return new Template(value)
  }

  templates(
    values: Readonly<Record<string, unknown>> | undefined,
    path: TemplatePath,
    known: Known,
  ): (readonly [string, Template])[] {
    return Object.entries(values ?? {}).map(([name, value]) => [
      name,
      this.template(value, [...path, name], known),
    ])
  }

  expression(text: string | undefined, path: TemplatePath, known: Known): Expression | undefined {
    if (text === undefined) return undefined
    const expression = this.compile(() => new Expression(text), path)
    this.check(expression?.references ?? [], path, known)
    return expression
  }

  /** Makes something, or reports why not. */
  compile<T>(make: () => T, path: TemplatePath): T | undefined {
    try {
      return make()
    } catch (error) {
      if (!(error instanceof BanyanError)) throw error
      this.report(path, error.message)
      return undefined
    }
  }

  /** Whether everything that is read can be there. */
  check(references: readonly Reference[], path: TemplatePath, known: Known): void {
    this.references.push(...references)
    for (const reference of references) {
      const problem = this.#problemOf(reference, known)
      if (problem) this.report(path, problem)
    }
  }

  #problemOf([name, member, part]: Reference, known: Known): string | undefined {
    if (name === undefined) return 'reads everything there is; name what is needed, such as `request.query`'
    if (name === 'request') return this.#requestProblem(member, part)
    if (!Object.hasOwn(known, name)) return unknownName(this.#kind, name, Object.keys(known))
    const members = known[name]
    if (member === undefined || !members || members.includes(member)) return undefined
    const hint = part === undefined ? `: write \`${name}.body.${member}\`?` : ''
    return `\`${name}\` has no \`${member}\`; it has ${members.join(', ')}${hint}`
  }

  #requestProblem(member: string | undefined, part: string | undefined): string | undefined {
    if (member === undefined) return 'reads the whole request; name what is needed, such as `request.query`'
    if (!(REQUEST_MEMBERS as readonly string[]).includes(member))
      return `\`request\` has no \`${member}\`; it has ${REQUEST_MEMBERS.join(', ')}`
    if (member === 'params' && part !== undefined && !this.#parameters.includes(part))
      return `\`:${part}\` is no part of the path that the route matches`
    return undefined
  }
}

/** That there is no such thing, and which was meant. */
export function unknownName(kind: string, name: string, known: readonly string[]): string {
  const near = suggest(name, known)
  const hint = near
    ? `, did you mean \`${near}\`?`
    : known.length > 0
      ? `; known are ${known.join(', ')}`
      : ''
  return `unknown ${kind} \`${name}\`${hint}`
}

/** Every text in a template, with its place. */
function* textsOf(value: unknown, path: TemplatePath = []): Generator<[TemplatePath, string]> {
  if (typeof value === 'string') yield [path, value]
  if (typeof value !== 'object' || value === null) return
  for (const [key, each] of Object.entries(value))
    yield* textsOf(each, [...path, Array.isArray(value) ? Number(key) : key])
}
