import { Environment, type ParseError, type TypeError as CelTypeError } from '@marcbachmann/cel-js'
import type { Forwarding, Identity } from '../../forwarding.js'
import { checkCost, LINEAR_MATCHES, Literals } from './rule/cost.js'
import { RuleError } from './rule/error.js'
import { factsOf, partsOf, type Wanted } from './rule/facts.js'
import { calls } from './rule/tree.js'

export { RuleError } from './rule/error.js'

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

const LIMITS = {
  maxAstNodes: 256,
  maxDepth: 32,
  maxListElements: 100,
  maxMapEntries: 100,
  maxCallArguments: 8,
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
  const wanted: Wanted = { headers: parts.has('headers'), query: parts.has('query') }
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
