import type { ASTNode } from '@marcbachmann/cel-js'

/** Whether a rule calls a method of that name somewhere. */
export function calls(node: ASTNode, name: string): boolean {
  return (node.op === 'rcall' && node.args[0] === name) || childrenOf(node).some((each) => calls(each, name))
}

/** What an expression is made of. */
export function childrenOf(node: ASTNode): ASTNode[] {
  const isNode = (value: unknown): value is ASTNode =>
    typeof value === 'object' && value !== null && 'op' in value && 'args' in value
  return [node.args].flat(3).filter(isNode)
}
