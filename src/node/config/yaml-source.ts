import { isMap, isScalar, isSeq, parseDocument, visit, type Document, type Node, type YAMLError } from 'yaml'
import { escaped, plain, substituted, type Environment } from './environment.js'
import type { Path } from './problem.js'

/** A configuration file as it was read: its value, and where everything in it stands. */
export interface Source {
  value: unknown
  /** The same as it is written: with `${NAME}` and not what stands for it, and `$${` for `${`. */
  written(): unknown
  /** What was read besides the file itself, with that; absent if nothing was. */
  files?: readonly string[]
  /** Problems of the text itself. */
  problems: { path: Path; message: string; line?: number; column?: number }[]
  /**
   * Where the value at `path` stands.
   *
   * @param at - `key` for the name before it instead of the value
   */
  locate(path: Path, at: 'key' | 'value'): { line: number; column: number } | undefined
}

/** A source that says nothing. */
export const NOTHING: Source = {
  value: undefined,
  written: () => undefined,
  problems: [],
  locate: () => undefined,
}

/** Aliases that a file may expand to; more is an attack. */
const MOST_ALIASES = 100

/**
 * Reads YAML. `${NAME}` in a value is replaced by the environment variable, `${NAME:-text}` by `text` if that is not
 * set or empty, as in a shell, and `$${` stays `${`.
 *
 * @param env - the environment; `undefined` if `${` is text like any other
 */
export function readYaml(text: string, env: Environment | undefined): Source {
  const document = parseDocument(text, { prettyErrors: false, uniqueKeys: true })
  // The parser's own counter misses lines of some files that are no YAML.
  const place = (offset: number): { line: number; column: number } => {
    const before = text.slice(0, offset)
    return { line: before.split('\n').length, column: before.length - before.lastIndexOf('\n') }
  }
  const broken = [...document.errors, ...document.warnings].find(({ code }) => code !== 'DUPLICATE_KEY')
  const found = [
    ...document.errors
      .filter(({ code }) => code === 'DUPLICATE_KEY')
      .map(({ pos }) => ({ message: 'this name stands here twice', offset: pos[0] })),
    // What follows the first error of syntax is mostly noise.
    ...(broken
      ? [{ message: syntaxMessage(broken, text), offset: broken.pos[0] }]
      : visitNodes(document, env)),
  ].sort((a, b) => a.offset - b.offset)
  const problems: Source['problems'] = found.map(({ message, offset }) => ({
    path: [],
    message,
    ...place(offset),
  }))
  let value: unknown
  if (problems.length === 0) {
    try {
      value = document.toJS({ maxAliasCount: MOST_ALIASES })
    } catch (error) {
      problems.push({ path: [], message: (error as Error).message, line: 1, column: 1 })
    }
  }
  return {
    value,
    problems,
    written: () => (env ? readYaml(text, undefined).value : escaped(value)),
    locate(path, at) {
      const offset = offsetOf(document.contents, path, at)
      return offset === undefined ? undefined : place(offset)
    },
  }
}

/** Where the node at `path` begins, or the nearest one above it that exists. */
function offsetOf(root: Node | null, path: Path, at: 'key' | 'value'): number | undefined {
  let node: Node | null = root
  let offset = root?.range?.[0] ?? 0
  for (const [depth, part] of path.entries()) {
    const last = depth === path.length - 1
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(part))
      if (!pair) return offset
      const key = pair.key as Node
      const value = pair.value as Node | null
      offset = (last && at === 'key') || !value?.range ? (key.range?.[0] ?? offset) : value.range[0]
      // A map on lines of its own is better shown by its name than by its first entry.
      if (!last && key.range) offset = key.range[0]
      node = value
    } else if (isSeq(node)) {
      const item = node.items[Number(part)] as Node | undefined
      if (!item) return offset
      offset = item.range?.[0] ?? offset
      node = item
    } else {
      return offset
    }
  }
  return offset
}

/** What the parser says, but for what people hit most, and what it says to programmers. */
function syntaxMessage({ code, message, pos }: YAMLError, text: string): string {
  if (code === 'MULTIPLE_DOCS') return 'a second document begins here; a configuration is one'
  if (text[pos[0]] === '{' && text[pos[0] - 1] === '$')
    return 'inside { } and [ ], text with ${...} must stand in quotes'
  return message.replace(/\s+/g, ' ')
}

/** Puts environment variables in; returns what is wrong with them, and what YAML can say but a configuration cannot. */
function visitNodes(document: Document, env: Environment | undefined): { message: string; offset: number }[] {
  const problems: { message: string; offset: number }[] = []
  const report = (node: Node, message: string): void => {
    problems.push({ message, offset: node.range?.[0] ?? 0 })
  }
  visit(document, {
    Alias(_key, node) {
      if (!node.resolve(document)) report(node, `there is no anchor \`&${node.source}\` above this alias`)
    },
    Pair(_key, { key }) {
      if (!isScalar(key)) report(key as Node, 'a name must be plain text')
      else if (key.value === '__proto__') report(key, '`__proto__` cannot be a name')
    },
    Scalar(key, node) {
      if (!env || key === 'key' || typeof node.value !== 'string' || !node.value.includes('${')) return
      const text = substituted(node.value, env, (message) => report(node, message))
      // An unquoted value is what it looks like: a number stays a number.
      node.value = node.type === 'PLAIN' ? plain(text) : text
    },
  })
  return problems
}
