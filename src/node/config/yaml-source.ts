import {
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parse,
  parseDocument,
  visit,
  type Document,
  type Node,
} from 'yaml'
import type { Path } from './problem.js'

/** A configuration file as it was read: its value, and where everything in it stands. */
export interface Source {
  value: unknown
  /** Problems of the text itself. */
  problems: { path: Path; message: string; line?: number; column?: number }[]
  /**
   * Where the value at `path` stands.
   *
   * @param at - `key` for the name before it instead of the value
   */
  locate(path: Path, at: 'key' | 'value'): { line: number; column: number } | undefined
}

/** Aliases that a file may expand to; more is an attack. */
const MOST_ALIASES = 100

/**
 * Reads YAML. `${NAME}` in a value is replaced by the environment variable, `${NAME:-text}` by `text` without one,
 * and `$${` stays `${`.
 */
export function readYaml(text: string, env: Readonly<Record<string, string | undefined>>): Source {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true })
  const place = (offset: number): { line: number; column: number } => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
  const problems: Source['problems'] = [...document.errors, ...document.warnings].map(({ message, pos }) => ({
    path: [],
    message: message.replace(/\s+/g, ' '),
    ...place(pos[0]),
  }))
  const missing = substitute(document, env)
  for (const { name, offset } of missing) {
    problems.push({
      path: [],
      message: `the environment variable \`${name}\` is not set; set it, or write \${${name}:-default}`,
      ...place(offset),
    })
  }
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

/** Puts environment variables in; returns those that are not set. */
function substitute(
  document: Document,
  env: Readonly<Record<string, string | undefined>>,
): { name: string; offset: number }[] {
  const missing: { name: string; offset: number }[] = []
  visit(document, {
    Scalar(key, node) {
      if (key === 'key' || typeof node.value !== 'string' || !node.value.includes('${')) return
      const text = node.value.replace(
        /\$\$\{|\$\{([A-Za-z_]\w*)(?::-([^}]*))?\}/g,
        (whole, name: string | undefined, fallback: string | undefined) => {
          if (name === undefined) return '${'
          const value = env[name] ?? fallback
          if (value === undefined) missing.push({ name, offset: node.range?.[0] ?? 0 })
          return value ?? whole
        },
      )
      // An unquoted value is what it looks like: a number stays a number.
      node.value = node.type === 'PLAIN' ? plain(text) : text
    },
  })
  return missing
}

function plain(text: string): unknown {
  try {
    const value: unknown = parse(text)
    return typeof value === 'object' ? text : value
  } catch {
    return text
  }
}
