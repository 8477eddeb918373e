import { BlockList, isIP, isIPv6 } from 'node:net'
import {
  Environment,
  type ASTNode,
  type ParseError,
  type TypeError as CelTypeError,
} from '@marcbachmann/cel-js'
import { RE2JS } from 're2js'
import type { Forwarding, Identity } from '../../forwarding.js'

/**
 * Authorisation rules in the Common Expression Language (cel.dev): terminating, without side effects, checked for types
 * before they run.
 *
 * What one evaluation may cost is bounded when the rule is compiled: the size of the expression, no loop inside a loop
 * over anything that a client sends, regular expressions by RE2 in linear time, and no function that lets text grow.
 * So an evaluation is linear in the size of the request, which is bounded itself.
 */
export interface Rule {
  /**
   * Whether the rule allows it; anything but `true` is a no. Throws what went wrong inside, such as a claim that is not
   * there.
   */
  allows(forwarding: Forwarding, identity: Identity | undefined): boolean
}

/** A rule that cannot be. */
export class RuleError extends Error {
  /** Where in the rule, from 0; characters. */
  readonly position: number

  constructor(message: string, position: number) {
    super(message)
    this.position = position
  }
}

const LIMITS = {
  maxAstNodes: 256,
  maxDepth: 32,
  maxListElements: 100,
  maxMapEntries: 100,
  maxCallArguments: 8,
}

/** Loops; all others of the language are made of these. */
const LOOPS = new Set(['all', 'exists', 'exists_one', 'filter', 'map'])

/** Functions and methods that a rule may call; their cost is linear and what they return no longer than what they get. */
const FUNCTIONS = new Set([
  ...LOOPS,
  'bool', 'contains', 'double', 'dyn', 'endsWith', 'has', 'int', 'inNetwork', 'lowerAscii', 'matches', 'size',
  'startsWith', 'string', 'type', 'upperAscii', 'trim',
]) // prettier-ignore

/** As long as `matches`, which the library would evaluate by backtracking, so that positions stay what they are. */
const LINEAR_MATCHES = 'matchRe'

/** Regular expressions and networks, by their text: both must be written out in the rule, so there are few. */
class Literals {
  readonly #patterns = new Map<string, RE2JS>()
  readonly #networks = new Map<string, BlockList>()

  matches(text: string, pattern: string): boolean {
    return this.#patterns.get(pattern)!.matcher(text).find()
  }

  inNetwork(address: string, network: string): boolean {
    return (
      isIP(address) !== 0 && this.#networks.get(network)!.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
    )
  }

  addPattern(pattern: string): void {
    this.#patterns.set(pattern, RE2JS.compile(pattern))
  }

  addNetwork(network: string): void {
    const [address = '', prefix] = network.split('/')
    const family = isIP(address)
    const most = family === 4 ? 32 : 128
    const bits = prefix === undefined ? most : Number(prefix)
    if (family === 0 || !Number.isInteger(bits) || prefix === '' || bits < 0 || bits > most)
      throw new Error('is no IP address or CIDR block')
    const list = new BlockList()
    list.addSubnet(address, bits, family === 4 ? 'ipv4' : 'ipv6')
    this.#networks.set(network, list)
  }
}

/**
 * Compiles a rule.
 *
 * @throws {@link RuleError} if it is no expression, its types do not fit, or it could cost too much
 */
export function compileRule(source: string): Rule {
  const literals = new Literals()
  const environment = environmentOf(literals)
  const parsed = parseIn(environment, source)
  const renamed = checkCost(parsed.ast, source, literals)
  const program = renamed === source ? parsed : parseIn(environment, renamed)
  // A comment may hold the name that was looked for.
  if (renamed !== source && calls(program.ast, 'matches'))
    throw new RuleError('there must be no comment inside of `matches(...)`', 0)
  const { valid, type, error } = program.check()
  if (!valid) throw failed(error!)
  if (type !== 'bool' && type !== 'dyn')
    throw new RuleError(`must say true or false, but is of type ${String(type)}`, 0)
  const parts = partsOf(program.ast)
  const wanted = { headers: parts.has('headers'), query: parts.has('query') }
  return {
    allows: (forwarding, identity) => program(factsOf(forwarding, identity, wanted)) === true,
  }
}

/** What a rule can speak of. */
function environmentOf(literals: Literals): Environment {
  return new Environment({ limits: LIMITS })
    .registerVariable({
      name: 'identity',
      schema: { by: 'string', subject: 'string', scopes: 'list<string>', claims: 'map<string, dyn>' },
    })
    .registerVariable({
      name: 'request',
      schema: {
        method: 'string',
        host: 'string',
        path: 'string',
        parameters: 'map<string, string>',
        headers: 'map<string, string>',
        query: 'map<string, list<string>>',
      },
    })
    .registerVariable({ name: 'client', schema: { address: 'string', tls: 'bool' } })
    .registerFunction(`string.${LINEAR_MATCHES}(string): bool`, (text: string, pattern: string) =>
      literals.matches(text, pattern),
    )
    .registerFunction('string.inNetwork(string): bool', (address: string, network: string) =>
      literals.inNetwork(address, network),
    )
}

/** What costs work to bring together, and is left out if the rule does not speak of it. */
interface Wanted {
  headers: boolean
  query: boolean
}

const NOBODY = { by: '', subject: '', scopes: [] as readonly string[], claims: {} }

function factsOf(
  forwarding: Forwarding,
  identity: Identity | undefined,
  wanted: Wanted,
): Record<string, unknown> {
  const { exchange, location, parameters } = forwarding
  const { request, client } = exchange
  const { by, subject, scopes, claims } = identity ?? NOBODY
  return {
    identity: { by, subject, scopes, claims },
    request: {
      method: request.method,
      host: hostName(request.host),
      path: location.path.split('/').map(decoded).join('/'),
      parameters,
      headers: wanted.headers ? headersOf(forwarding) : {},
      query: wanted.query ? queryOf(location.query) : {},
    },
    client: { address: forwarding.clientAddress, tls: client.tls !== undefined },
  }
}

/** By their names in lower case; several lines are joined as RFC 9110 5.3 says. */
function headersOf({ exchange }: Forwarding): Record<string, string> {
  const headers: Record<string, string> = Object.create(null) as Record<string, string>
  for (const [name, value] of exchange.request.fields) {
    const lower = name.toLowerCase()
    headers[lower] = lower in headers ? `${headers[lower]!}, ${value}` : value
  }
  return headers
}

/** Every value of every parameter: a rule that sees the first of two would be got round by the second. */
function queryOf(query: string): Record<string, string[]> {
  const all: Record<string, string[]> = Object.create(null) as Record<string, string[]>
  for (const [name, value] of new URLSearchParams(query)) (all[name] ??= []).push(value)
  return all
}

/** As the router compares it: decoded once, but for a slash, which stays inside its segment. */
function decoded(segment: string): string {
  if (!segment.includes('%')) return segment
  try {
    return decodeURIComponent(segment.replace(/%2f/gi, '%252F'))
  } catch {
    return segment
  }
}

function hostName(host: string): string {
  return host.replace(/:\d*$/, '').toLowerCase()
}

function parseIn(environment: Environment, source: string): ReturnType<Environment['parse']> {
  try {
    return environment.parse(source)
  } catch (error) {
    throw failed(error as ParseError)
  }
}

function failed(error: ParseError | CelTypeError): RuleError {
  const { summary, message, range } = error
  return new RuleError(summary || message.split('\n')[0]!, range?.start ?? 0)
}

/** Refuses what could cost too much; returns the source with calls of ours in place of costly ones of the same name. */
function checkCost(root: ASTNode, source: string, literals: Literals): string {
  let text = source
  const visit = (node: ASTNode, inLoop: boolean): void => {
    if (node.op === 'call' || node.op === 'rcall') {
      const name = node.args[0]
      const values = node.op === 'call' ? node.args[1] : node.args[2]
      const receiver = node.op === 'rcall' ? node.args[1] : undefined
      if (!FUNCTIONS.has(name))
        throw new RuleError(`\`${name}\` is no function that a rule may use`, node.start)
      if (name === 'matches' || name === 'inNetwork') text = linear(node, name, receiver, values[0], text)
      const isLoop = LOOPS.has(name) && receiver !== undefined
      if (isLoop && inLoop && receiver.op !== 'list')
        throw new RuleError('a loop inside a loop may only run over a list that is written out', node.start)
      if (receiver) visit(receiver, inLoop)
      for (const each of values) visit(each, inLoop || isLoop)
      return
    }
    for (const child of childrenOf(node)) visit(child, inLoop)
  }

  const linear = (
    node: ASTNode,
    name: 'matches' | 'inNetwork',
    receiver: ASTNode | undefined,
    argument: ASTNode | undefined,
    before: string,
  ): string => {
    if (receiver === undefined || argument?.op !== 'value' || typeof argument.args !== 'string')
      throw new RuleError(`\`${name}\` takes a text that is written out: x.${name}('...')`, node.start)
    try {
      if (name === 'matches') literals.addPattern(argument.args)
      else literals.addNetwork(argument.args)
    } catch (error) {
      throw new RuleError(`'${argument.args}': ${(error as Error).message}`, argument.start)
    }
    if (name === 'inNetwork') return before
    const at = before.lastIndexOf(name, argument.start)
    return before.slice(0, at) + LINEAR_MATCHES + before.slice(at + name.length)
  }

  visit(root, false)
  return text
}

function calls(node: ASTNode, name: string): boolean {
  return (node.op === 'rcall' && node.args[0] === name) || childrenOf(node).some((each) => calls(each, name))
}

/** The parts of `request` that a rule speaks of; all of them if it speaks of it as a whole. */
function partsOf(node: ASTNode): Set<string> {
  if (node.op === 'id') return new Set(node.args === 'request' ? ['headers', 'query'] : [])
  if (node.op === '.' && node.args[0].op === 'id') return new Set([node.args[1]])
  return new Set(childrenOf(node).flatMap((each) => [...partsOf(each)]))
}

function childrenOf(node: ASTNode): ASTNode[] {
  const isNode = (value: unknown): value is ASTNode =>
    typeof value === 'object' && value !== null && 'op' in value && 'args' in value
  return [node.args].flat(3).filter(isNode)
}
