import {
  compile,
  getRegisteredFunctions,
  TreeInterpreter,
  type JSONValue,
} from '@jmespath-community/jmespath'
import { BanyanError } from '../../../../core/errors.js'

/** Longest text of an expression. */
const MOST_CHARACTERS = 4096

/** The names a value is reached by, from the top: `['user', 'body', 'name']`. Empty for all that there is. */
export type Reference = readonly string[]

/** What expressions read: a name for each thing that is known. */
export type Scope = Readonly<Record<string, unknown>>

type Node = ReturnType<typeof compile>

/**
 * A JMESPath expression (jmespath.site, with `let` and arithmetic). It has no loops and no effects: it always ends, and
 * reads what it is given, nothing else.
 */
export class Expression {
  readonly text: string
  /** What it reads, so that this can be checked, and waited for, before it is evaluated. */
  readonly references: readonly Reference[]
  readonly #node: Node

  /** @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` if it is not valid */
  constructor(text: string) {
    if (text.length > MOST_CHARACTERS) throw invalid(`is longer than ${MOST_CHARACTERS} characters`)
    this.text = text
    this.#node = parse(text)
    const references = new References()
    references.visit(this.#node, true)
    this.references = references.found
  }

  /**
   * @returns its value; `null` for what is not there
   * @throws `Error` if a function is given what it does not take
   */
  evaluate(scope: Scope): unknown {
    return TreeInterpreter.search(this.#node, scope as JSONValue) ?? null
  }
}

/** What a condition takes for false: false, null, and whatever is empty (JMESPath, "Truthy"). */
export function isTruthy(value: unknown): boolean {
  if (value === undefined || value === null || value === false || value === '') return false
  return typeof value !== 'object' || Object.keys(value).length > 0
}

function parse(text: string): Node {
  try {
    return compile(text)
  } catch (error) {
    throw invalid(`\`${text}\` is not a JMESPath expression: ${(error as Error).message}`, error)
  }
}

function invalid(message: string, cause?: unknown): BanyanError {
  return new BanyanError('BANYAN_INVALID_OPTIONS', message, { cause })
}

/** Finds what an expression reads. A name means something of the top only where nothing else is current. */
class References {
  readonly found: Reference[] = []

  visit(node: Node, atTop: boolean): void {
    const chain = this.#chainOf(node, atTop)
    if (chain) {
      this.found.push(chain)
      return
    }
    switch (node.type) {
      case 'Field':
        checkName(node.name)
        break
      case 'Subexpression':
      case 'Pipe':
      case 'IndexExpression':
      case 'Projection':
      case 'ValueProjection':
        this.#visitBelow(node.left, node.right, atTop)
        break
      case 'FilterProjection':
        this.#visitBelow(node.left, node.right, atTop)
        this.visit(node.condition, false)
        break
      case 'Flatten':
      case 'NotExpression':
        this.visit(node.child, atTop)
        break
      case 'ExpressionReference':
        this.visit(node.child, false)
        break
      case 'AndExpression':
      case 'OrExpression':
      case 'Comparator':
      case 'Arithmetic':
        this.visit(node.left, atTop)
        this.visit(node.right, atTop)
        break
      case 'Unary':
        this.visit(node.operand, atTop)
        break
      case 'Ternary':
        for (const part of [node.condition, node.trueExpr, node.falseExpr]) this.visit(part, atTop)
        break
      case 'MultiSelectHash':
        for (const { value } of node.children) this.visit(value, atTop)
        break
      case 'MultiSelectList':
        for (const child of node.children) this.visit(child, atTop)
        break
      case 'Function':
        if (!FUNCTIONS.has(node.name)) throw invalid(`there is no function \`${node.name}\``)
        for (const child of node.children) this.visit(child, atTop)
        break
      case 'LetExpression':
        for (const { reference } of node.bindings) this.visit(reference, atTop)
        this.visit(node.expression, atTop)
        break
      default:
      // Literals, indexes, slices, variables, and what is current below the top: nothing of the top.
    }
  }

  /** What comes after something is about that, unless that was all there is. */
  #visitBelow(left: Node, right: Node, atTop: boolean): void {
    const all = this.#chainOf(left, atTop)?.length === 0 && left.type !== 'Identity'
    if (!all) this.visit(left, atTop)
    this.visit(right, all)
  }

  /** The names of `a.b.c` from the top; `undefined` if a node is anything else. */
  #chainOf(node: Node, atTop: boolean): Reference | undefined {
    switch (node.type) {
      case 'Root':
        return []
      case 'Current':
      case 'Identity':
        return atTop ? [] : undefined
      case 'Field':
        if (!atTop) return undefined
        checkName(node.name)
        return [node.name]
      case 'Subexpression': {
        if (node.right.type !== 'Field') return undefined
        const left = this.#chainOf(node.left, atTop)
        checkName(node.right.name)
        return left && [...left, node.right.name]
      }
      default:
        return undefined
    }
  }
}

const FUNCTIONS = new Set(getRegisteredFunctions())

/** The library would find these on every object, though no document says them. */
function checkName(name: string): void {
  if (name in Object.prototype)
    throw invalid(`\`${name}\` cannot be read: JavaScript takes the name for itself`)
}
