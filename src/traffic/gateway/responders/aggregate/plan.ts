import { BanyanError } from '../../../../core/errors.js'
import { suggest } from '../../../../core/suggest.js'
import { isToken } from '../../../http/characters.js'
import { Kind, kindOf } from '../../../http/fields.js'
import { Expression, type Reference } from '../../filters/shaping/expression.js'
import { REQUEST_MEMBERS } from '../../filters/shaping/request-scope.js'
import { Template, templateProblems, TextTemplate } from '../../filters/shaping/template.js'
import { BRANCH_MEMBERS, RESERVED, type AggregateSpec, type BranchSpec } from './spec.js'

/** Something wrong in an aggregation, with its place in the specification. */
export interface PlanProblem {
  path: readonly (string | number)[]
  message: string
  at?: 'key' | 'value'
}

/** A branch ready to be made. */
export interface PlannedBranch {
  readonly name: string
  readonly spec: BranchSpec
  /** Branches that must be done before. */
  readonly waitsFor: readonly string[]
  readonly path: TextTemplate
  readonly query: readonly (readonly [string, Template])[]
  readonly headers: readonly (readonly [string, Template])[]
  readonly body: Template | undefined
  readonly when: Expression | undefined
  readonly forEach: Expression | undefined
}

/** An aggregation ready to run. */
export interface Plan {
  /** Each after those it waits for. */
  readonly branches: readonly PlannedBranch[]
  readonly status: Template | undefined
  readonly headers: readonly (readonly [string, Template])[]
  readonly body: Template | undefined
  /** Everything that any expression reads. */
  readonly references: readonly Reference[]
}

/** Fields that only mean something between the client and the gateway, or would change what is read here. */
const NOT_FORWARDED =
  /^(?:if-(?:match|none-match|modified-since|unmodified-since|range)|range|accept-encoding|host|expect|content-(?:length|type|encoding))$/i

/**
 * Checks an aggregation and finds its order.
 *
 * @param parameters - names of the `:name` parts of the route's path
 */
export function planAggregate(
  spec: AggregateSpec,
  parameters: readonly string[],
): { plan: Plan | undefined; problems: PlanProblem[] } {
  const planner = new Planner(spec, parameters)
  const plan = planner.plan()
  return { plan: planner.problems.length === 0 ? plan : undefined, problems: planner.problems }
}

class Planner {
  readonly problems: PlanProblem[] = []
  readonly #spec: AggregateSpec
  readonly #parameters: readonly string[]
  readonly #names: readonly string[]
  readonly #references: Reference[] = []

  constructor(spec: AggregateSpec, parameters: readonly string[]) {
    this.#spec = spec
    this.#parameters = parameters
    this.#names = Object.keys(spec.branches)
  }

  plan(): Plan {
    const { branches, answer = {}, merge } = this.#spec
    if (this.#names.length === 0) this.#report(['branches'], 'there must be one branch at least')
    const planned = Object.entries(branches).map(([name, branch]) => this.#branch(name, branch))
    const at = ['answer']
    const body = 'body' in answer ? this.#template(answer.body, [...at, 'body'], this.#names) : undefined
    if (body && merge !== undefined)
      this.#report(['merge'], 'contradicts `answer.body`, which shapes the whole', 'key')
    return {
      branches: this.#ordered(planned),
      status:
        answer.status === undefined
          ? undefined
          : this.#template(answer.status, [...at, 'status'], this.#names),
      headers: this.#templates(answer.headers, [...at, 'headers'], this.#names),
      body,
      references: this.#references,
    }
  }

  #branch(name: string, spec: BranchSpec): PlannedBranch {
    const path = ['branches', name]
    if (!/^[A-Za-z_]\w*$/.test(name) || RESERVED.includes(name)) {
      this.#report(
        path,
        `\`${name}\` cannot be the name of a branch: expressions read it, and \`${RESERVED.join('`, `')}\` mean something else`,
        'key',
      )
    }
    const before = this.#references.length
    const others = this.#names.filter((each) => each !== name)
    const inside = spec.forEach === undefined ? others : [...others, 'item', 'index']
    for (const key of ['maxItems', 'concurrency'] as const) {
      if (spec.forEach === undefined && spec[key] !== undefined)
        this.#report([...path, key], 'needs `forEach`', 'key')
    }
    const { when, forEach } = spec
    const planned = {
      name,
      spec,
      path: this.#pathTemplate(spec.path, [...path, 'path'], inside),
      query: this.#templates(spec.query, [...path, 'query'], inside),
      headers: this.#templates(spec.headers, [...path, 'headers'], inside),
      body: 'body' in spec ? this.#template(spec.body, [...path, 'body'], inside) : undefined,
      when: when === undefined ? undefined : this.#expression(when, [...path, 'when'], others),
      forEach: forEach === undefined ? undefined : this.#expression(forEach, [...path, 'forEach'], others),
    }
    this.#checkFields(spec, path)
    for (const [index, other] of (spec.after ?? []).entries()) {
      if (!others.includes(other)) this.#report([...path, 'after', index], unknown('branch', other, others))
    }
    const read = this.#references.slice(before).map(([first]) => first!)
    const waitsFor = others.filter((each) => read.includes(each) || spec.after?.includes(each))
    return { ...planned, waitsFor }
  }

  #checkFields(spec: BranchSpec, path: readonly string[]): void {
    for (const [index, field] of (spec.forward ?? []).entries()) {
      const kind = kindOf(field)
      if (!isToken(field) || NOT_FORWARDED.test(field) || (kind !== Kind.Ordinary && kind !== Kind.Protected))
        this.#report([...path, 'forward', index], `\`${field}\` cannot be passed on`)
    }
    for (const field of Object.keys(spec.headers ?? {})) {
      const kind = kindOf(field)
      if (
        !isToken(field) ||
        /^content-length$/i.test(field) ||
        (kind !== Kind.Ordinary && kind !== Kind.Protected)
      )
        this.#report([...path, 'headers', field], `\`${field}\` is set by the gateway itself`, 'key')
    }
    for (const status of Object.keys(spec.onStatus ?? {})) {
      if (!/^[3-5]\d\d$/.test(status))
        this.#report([...path, 'onStatus', status], 'must be a status from 300 to 599', 'key')
    }
  }

  #pathTemplate(text: string, path: readonly string[], known: readonly string[]): TextTemplate {
    const template = this.#compile(() => {
      if (!text.startsWith('/')) throw new BanyanError('BANYAN_INVALID_OPTIONS', 'must begin with a slash')
      const filled = new TextTemplate(text.replace(/\/:([A-Za-z_]\w*)/g, '/$(request.params."$1")'))
      if (!/^[\w/.~!$&'*+,;=:@%-]*$/.test(filled.literal))
        throw new BanyanError('BANYAN_INVALID_OPTIONS', 'holds what no path may; parameters go into `query`')
      if (/(^|\/)\.\.?(\/|$)/.test(filled.literal))
        throw new BanyanError('BANYAN_INVALID_OPTIONS', 'must have no dot segments')
      return filled
    }, path)
    this.#check(template?.references ?? [], path, known)
    return template ?? new TextTemplate('/')
  }

  #templates(
    values: Readonly<Record<string, unknown>> | undefined,
    path: readonly string[],
    known: readonly string[],
  ): (readonly [string, Template])[] {
    return Object.entries(values ?? {}).map(([name, value]) => [
      name,
      this.#template(value, [...path, name], known),
    ])
  }

  #template(value: unknown, path: readonly string[], known: readonly string[]): Template {
    const problems = templateProblems(value)
    for (const problem of problems) this.#report([...path, ...problem.path], problem.message)
    if (problems.length > 0) return new Template(null)
    // Text by text, so that what is unknown is told with its own place.
    for (const [place, text] of textsOf(value))
      this.#check(new Template(text).references, [...path, ...place], known)
    return new Template(value)
  }

  #expression(text: string, path: readonly string[], known: readonly string[]): Expression | undefined {
    const expression = this.#compile(() => new Expression(text), path)
    this.#check(expression?.references ?? [], path, known)
    return expression
  }

  #compile<T>(make: () => T, path: readonly string[]): T | undefined {
    try {
      return make()
    } catch (error) {
      if (!(error instanceof BanyanError)) throw error
      this.#report(path, error.message)
      return undefined
    }
  }

  /** Whether everything that is read can be there. */
  #check(references: readonly Reference[], path: PlanProblem['path'], branches: readonly string[]): void {
    this.#references.push(...references)
    for (const reference of references) {
      const problem = this.#problemOf(reference, branches)
      if (problem) this.#report(path, problem)
    }
  }

  #problemOf([name, member, part]: Reference, known: readonly string[]): string | undefined {
    if (name === undefined) return 'reads everything there is; name what is needed, such as `request.query`'
    if (name === 'request') {
      if (member === undefined) return 'reads the whole request; name what is needed, such as `request.query`'
      if (!(REQUEST_MEMBERS as readonly string[]).includes(member))
        return `\`request\` has no \`${member}\`; it has ${REQUEST_MEMBERS.join(', ')}`
      if (member === 'params' && part !== undefined && !this.#parameters.includes(part))
        return `\`:${part}\` is no part of the path that the route matches`
      return undefined
    }
    if (!known.includes(name)) return unknown('branch', name, known)
    if (!this.#names.includes(name) || member === undefined) return undefined
    return (BRANCH_MEMBERS as readonly string[]).includes(member)
      ? undefined
      : `\`${name}\` has no \`${member}\`; a branch has ${BRANCH_MEMBERS.join(', ')}${part === undefined ? `: write \`${name}.body.${member}\`?` : ''}`
  }

  /** Each branch after those it waits for (depth first); a branch that waits for itself is a problem. */
  #ordered(branches: readonly PlannedBranch[]): PlannedBranch[] {
    const byName = new Map(branches.map((branch) => [branch.name, branch]))
    const ordered = new Set<PlannedBranch>()
    const looping = new Set<string>()
    const visit = (branch: PlannedBranch, way: readonly string[]): void => {
      if (ordered.has(branch) || looping.has(branch.name)) return
      const from = way.indexOf(branch.name)
      if (from >= 0) {
        const circle = way.slice(from)
        for (const name of circle) looping.add(name)
        this.#report(
          ['branches', circle[0]!],
          `waits for itself: ${[...circle, branch.name].join(' -> ')}`,
          'key',
        )
        return
      }
      for (const name of branch.waitsFor) visit(byName.get(name)!, [...way, branch.name])
      ordered.add(branch)
    }
    for (const branch of branches) visit(branch, [])
    return [...ordered]
  }

  #report(path: PlanProblem['path'], message: string, at: 'key' | 'value' = 'value'): void {
    if (!this.problems.some((each) => each.message === message && String(each.path) === String(path)))
      this.problems.push({ path, message, at })
  }
}

/** Every text in a template, with its place. */
function* textsOf(
  value: unknown,
  path: readonly (string | number)[] = [],
): Generator<[readonly (string | number)[], string]> {
  if (typeof value === 'string') yield [path, value]
  if (typeof value !== 'object' || value === null) return
  for (const [key, each] of Object.entries(value))
    yield* textsOf(each, [...path, Array.isArray(value) ? Number(key) : key])
}

function unknown(kind: string, name: string, known: readonly string[]): string {
  const near = suggest(name, known)
  const hint = near
    ? `, did you mean \`${near}\`?`
    : known.length > 0
      ? `; known are ${known.join(', ')}`
      : ''
  return `unknown ${kind} \`${name}\`${hint}`
}
