import { BanyanError } from '../../../../core/errors.js'
import { isToken } from '../../../http/characters.js'
import { Kind, kindOf } from '../../../http/fields.js'
import type { Expression, Reference } from '../../filters/shaping/expression.js'
import {
  TemplateChecker,
  unknownName,
  type Known,
  type ShapingProblem,
} from '../../filters/shaping/template-checker.js'
import { TextTemplate, type Template } from '../../filters/shaping/template.js'
import { BRANCH_MEMBERS, RESERVED, type AggregateSpec, type BranchSpec } from './spec.js'

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
  /^(?:if-(?:match|none-match|modified-since|unmodified-since|range)|range|accept-encoding|content-(?:type|encoding))$/i

/**
 * Checks an aggregation and finds its order.
 *
 * @param parameters - names of the `:name` parts of the route's path
 */
export function planAggregate(
  spec: AggregateSpec,
  parameters: readonly string[],
): { plan: Plan | undefined; problems: readonly ShapingProblem[] } {
  const planner = new Planner(spec, parameters)
  const plan = planner.plan()
  const { problems } = planner.checker
  return { plan: problems.length === 0 ? plan : undefined, problems }
}

class Planner {
  readonly checker: TemplateChecker
  readonly #spec: AggregateSpec
  readonly #names: readonly string[]

  constructor(spec: AggregateSpec, parameters: readonly string[]) {
    this.checker = new TemplateChecker(parameters, 'branch')
    this.#spec = spec
    this.#names = Object.keys(spec.branches)
  }

  plan(): Plan {
    const { checker } = this
    const { branches, answer = {}, merge } = this.#spec
    if (this.#names.length === 0) checker.report(['branches'], 'there must be one branch at least')
    const planned = Object.entries(branches).map(([name, branch]) => this.#branch(name, branch))
    const known = knownBranches(this.#names)
    const body = 'body' in answer ? checker.template(answer.body, ['answer', 'body'], known) : undefined
    if (body && merge !== undefined)
      checker.report(['merge'], 'contradicts `answer.body`, which shapes the whole', 'key')
    return {
      branches: this.#ordered(planned),
      status:
        answer.status === undefined
          ? undefined
          : checker.template(answer.status, ['answer', 'status'], known),
      headers: checker.templates(answer.headers, ['answer', 'headers'], known),
      body,
      references: checker.references,
    }
  }

  #branch(name: string, spec: BranchSpec): PlannedBranch {
    const { checker } = this
    const path = ['branches', name]
    if (!/^[A-Za-z_]\w*$/.test(name) || RESERVED.includes(name)) {
      const reserved = RESERVED.map((each) => `\`${each}\``).join(', ')
      checker.report(
        path,
        `\`${name}\` cannot be the name of a branch: expressions read it, and ${reserved} mean something else`,
        'key',
      )
    }
    for (const key of ['maxItems', 'concurrency'] as const) {
      if (spec.forEach === undefined && spec[key] !== undefined)
        checker.report([...path, key], 'needs `forEach`', 'key')
    }
    const before = checker.references.length
    const others = this.#names.filter((each) => each !== name)
    const known = knownBranches(others)
    const inside = spec.forEach === undefined ? known : { ...known, item: undefined, index: undefined }
    const planned = {
      name,
      spec,
      path: this.#pathTemplate(spec.path, [...path, 'path'], inside),
      query: checker.templates(spec.query, [...path, 'query'], inside),
      headers: checker.templates(spec.headers, [...path, 'headers'], inside),
      body: 'body' in spec ? checker.template(spec.body, [...path, 'body'], inside) : undefined,
      when: checker.expression(spec.when, [...path, 'when'], known),
      forEach: checker.expression(spec.forEach, [...path, 'forEach'], known),
    }
    this.#checkFields(spec, path)
    for (const [index, other] of (spec.after ?? []).entries()) {
      if (!others.includes(other))
        checker.report([...path, 'after', index], unknownName('branch', other, others))
    }
    const read = checker.references.slice(before).map(([first]) => first!)
    const waitsFor = others.filter((each) => read.includes(each) || spec.after?.includes(each))
    return { ...planned, waitsFor }
  }

  #checkFields({ forward = [], headers = {}, onStatus = {} }: BranchSpec, path: readonly string[]): void {
    for (const [index, field] of forward.entries()) {
      if (!isPlainField(field) || NOT_FORWARDED.test(field))
        this.checker.report([...path, 'forward', index], `\`${field}\` cannot be passed on`)
    }
    for (const field of Object.keys(headers)) {
      if (!isPlainField(field))
        this.checker.report([...path, 'headers', field], `\`${field}\` is set by the gateway itself`, 'key')
    }
    for (const status of Object.keys(onStatus)) {
      if (!/^[3-5]\d\d$/.test(status))
        this.checker.report([...path, 'onStatus', status], 'must be a status from 300 to 599', 'key')
    }
  }

  #pathTemplate(text: string, path: readonly string[], known: Known): TextTemplate {
    const template = this.checker.compile(() => {
      if (!text.startsWith('/')) throw invalid('must begin with a slash')
      const filled = new TextTemplate(text.replace(/\/:([A-Za-z_]\w*)/g, '/$(request.params."$1")'))
      if (!/^[\w/.~!$&'*+,;=:@%-]*$/.test(filled.literal))
        throw invalid('holds what no path may; parameters go into `query`')
      if (/(^|\/)\.\.?(\/|$)/.test(filled.literal)) throw invalid('must have no dot segments')
      return filled
    }, path)
    this.checker.check(template?.references ?? [], path, known)
    return template ?? new TextTemplate('/')
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
        const text = [...circle, branch.name].join(' -> ')
        this.checker.report(['branches', circle[0]!], `waits for itself: ${text}`, 'key')
        return
      }
      for (const name of branch.waitsFor) visit(byName.get(name)!, [...way, branch.name])
      ordered.add(branch)
    }
    for (const branch of branches) visit(branch, [])
    return [...ordered]
  }
}

function knownBranches(names: readonly string[]): Known {
  return Object.fromEntries(names.map((name) => [name, BRANCH_MEMBERS]))
}

/** A field that a request of our own may have: no part of the framing, the connection or the forwarding. */
function isPlainField(field: string): boolean {
  const kind = kindOf(field)
  return isToken(field) && (kind === Kind.Ordinary || kind === Kind.Protected)
}

function invalid(message: string): BanyanError {
  return new BanyanError('BANYAN_INVALID_OPTIONS', message)
}
