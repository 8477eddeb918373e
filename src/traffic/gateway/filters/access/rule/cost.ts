import { BlockList, isIP, isIPv6 } from 'node:net'
import type { ASTNode } from '@marcbachmann/cel-js'
import { RE2JS } from 're2js'
import { RuleError } from './error.js'
import { childrenOf } from './tree.js'

/** Loops; all others of the language are made of these. */
const LOOPS = new Set(['all', 'exists', 'exists_one', 'filter', 'map'])

/** Functions and methods that a rule may call; their cost is linear and what they return no longer than what they get. */
const FUNCTIONS = new Set([
  ...LOOPS,
  'bool', 'contains', 'double', 'dyn', 'endsWith', 'has', 'int', 'inNetwork', 'lowerAscii', 'matches', 'size',
  'startsWith', 'string', 'type', 'upperAscii', 'trim',
]) // prettier-ignore

/** As long as `matches`, which the library would evaluate by backtracking, so that positions stay what they are. */
export const LINEAR_MATCHES = 'matchRe'

/** Regular expressions and networks, by their text: both must be written out in the rule, so there are few. */
export class Literals {
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

/** Refuses what could cost too much; returns the source with calls of ours in place of costly ones of the same name. */
export function checkCost(root: ASTNode, source: string, literals: Literals): string {
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
