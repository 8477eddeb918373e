import type { RequestHead } from '../http/message.js'
import type { MatchSpec } from './spec.js'

/** A request target taken apart for matching. */
export interface Location {
  /** As the client wrote it, but for dot segments, which are resolved; what is passed on. */
  path: string
  /** With the question mark; empty if there is none. */
  query: string
}

/** What a pattern's `:name` parts matched, decoded. */
export type Parameters = Readonly<Record<string, string>>

/** A route found for a request. */
export interface Found<Target> {
  target: Target
  parameters: Parameters
  /** The part of the path that `*` stands for, with its leading slash; empty without one. */
  rest: string
}

interface Entry<Target> {
  target: Target
  order: number
  /** More conditions go first. */
  conditions: number
  methods: ReadonlySet<string> | undefined
  headers: [string, string][]
  query: [string, string][]
  /** Names of the pattern's parts, in order. */
  names: string[]
}

interface TreeNode<Target> {
  literals: Map<string, TreeNode<Target>>
  parameter: TreeNode<Target> | undefined
  /** Routes whose path ends here. */
  here: Entry<Target>[]
  /** Routes that take everything from here on. */
  below: Entry<Target>[]
}

/**
 * Finds the route of a request. Which of several matching routes wins does not depend on their order in the file:
 *
 * 1. an exact host before `*.example.com` (the longer first) before any host;
 * 2. in the path, segment by segment from the left: a literal before `:name` before `*`;
 * 3. more conditions (method, header, query) before fewer;
 * 4. else the one that was named first.
 */
export class Router<Target> {
  readonly #exactHosts = new Map<string, TreeNode<Target>>()
  readonly #wildcardHosts: [string, TreeNode<Target>][] = []
  readonly #anyHost: TreeNode<Target> = emptyNode()
  #count = 0

  add(match: MatchSpec, target: Target): void {
    const { segments, names, tail } = parsePattern(match.path ?? '/*')
    const entry: Entry<Target> = {
      target,
      order: this.#count++,
      methods: match.method === undefined ? undefined : new Set([match.method].flat()),
      headers: Object.entries(match.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]),
      query: Object.entries(match.query ?? {}),
      names,
      conditions: 0,
    }
    entry.conditions = (entry.methods ? 1 : 0) + entry.headers.length + entry.query.length
    for (const tree of this.#treesOf(match.host)) {
      let node = tree
      for (const segment of segments) node = step(node, segment)
      const entries = tail ? node.below : node.here
      entries.push(entry)
      entries.sort((a, b) => b.conditions - a.conditions || a.order - b.order)
    }
  }

  find(request: RequestHead, location: Location): Found<Target> | undefined {
    const host = hostOf(request.host)
    // '/' has no segments, '/a' one, '/a/' two, the last of them empty.
    const segments = location.path === '/' ? [] : location.path.slice(1).split('/')
    const exact = this.#exactHosts.get(host)
    const found = exact && search(exact, segments, 0, [], request, location)
    if (found) return found
    for (const [suffix, tree] of this.#wildcardHosts) {
      const match = host.endsWith(suffix) && search(tree, segments, 0, [], request, location)
      if (match) return match
    }
    return search(this.#anyHost, segments, 0, [], request, location)
  }

  #treesOf(host: string | string[] | undefined): TreeNode<Target>[] {
    if (host === undefined) return [this.#anyHost]
    return [host].flat().map((name) => {
      const lower = name.toLowerCase()
      if (lower === '*') return this.#anyHost
      if (!lower.startsWith('*.')) {
        const tree = this.#exactHosts.get(lower) ?? emptyNode<Target>()
        this.#exactHosts.set(lower, tree)
        return tree
      }
      const suffix = lower.slice(1)
      const known = this.#wildcardHosts.find(([other]) => other === suffix)
      if (known) return known[1]
      const tree = emptyNode<Target>()
      this.#wildcardHosts.push([suffix, tree])
      this.#wildcardHosts.sort(([a], [b]) => b.length - a.length)
      return tree
    })
  }
}

/**
 * Takes a path pattern apart.
 *
 * @returns the segments, `:` standing for a part of any value; the parts' names; whether it ends in `/*`
 */
export function parsePattern(pattern: string): { segments: string[]; names: string[]; tail: boolean } {
  const tail = pattern.endsWith('/*')
  const path = tail ? pattern.slice(0, -2) : pattern
  const parts = path === '' || path === '/' ? [] : path.slice(1).split('/')
  const names: string[] = []
  const segments = parts.map((part) => {
    if (!part.startsWith(':')) return decode(part)
    names.push(part.slice(1))
    return ':'
  })
  return { segments, names, tail }
}

/**
 * Takes a request target apart. Dot segments are resolved (RFC 3986 5.2.4), also when they are percent-encoded:
 * what is matched must be what the upstream will read.
 *
 * @returns `undefined` if the path holds an encoded NUL or climbs above its root
 */
export function locate(target: string): Location | undefined {
  const mark = target.indexOf('?')
  const path = mark < 0 ? target : target.slice(0, mark)
  const query = mark < 0 ? '' : target.slice(mark)
  // Nearly every path is plain.
  if (!/%(?:00|2e)|\/\./i.test(path)) return { path, query }
  if (path.includes('%00')) return undefined
  const resolved: string[] = []
  const parts = path.slice(1).split('/')
  for (const [index, part] of parts.entries()) {
    const dots = part.replace(/%2e/gi, '.')
    if (dots !== '.' && dots !== '..') {
      resolved.push(part)
      continue
    }
    if (dots === '..' && resolved.pop() === undefined) return undefined
    if (index === parts.length - 1) resolved.push('')
  }
  return { path: `/${resolved.join('/')}`, query }
}

function search<Target>(
  node: TreeNode<Target>,
  segments: readonly string[],
  depth: number,
  values: readonly string[],
  request: RequestHead,
  location: Location,
): Found<Target> | undefined {
  if (depth === segments.length) {
    const entry = firstMatch(node.here, request, location) ?? firstMatch(node.below, request, location)
    return entry && found(entry, values, '')
  }
  const segment = decode(segments[depth]!)
  const literal = node.literals.get(segment)
  const deeper =
    (literal && search(literal, segments, depth + 1, values, request, location)) ??
    (node.parameter && segment !== ''
      ? search(node.parameter, segments, depth + 1, [...values, segment], request, location)
      : undefined)
  if (deeper) return deeper
  const entry = firstMatch(node.below, request, location)
  return entry && found(entry, values, `/${segments.slice(depth).join('/')}`)
}

function firstMatch<Target>(
  entries: readonly Entry<Target>[],
  request: RequestHead,
  location: Location,
): Entry<Target> | undefined {
  for (const entry of entries) {
    if (entry.conditions === 0 || meets(entry, request, location)) return entry
  }
  return undefined
}

function meets(entry: Entry<unknown>, request: RequestHead, location: Location): boolean {
  if (entry.methods && !entry.methods.has(request.method)) return false
  for (const [name, wanted] of entry.headers) {
    const value = request.fields.get(name)
    if (value === undefined || (wanted !== '*' && value !== wanted)) return false
  }
  if (entry.query.length === 0) return true
  const query = new URLSearchParams(location.query)
  return entry.query.every(([name, wanted]) => {
    const values = query.getAll(name)
    return wanted === '*' ? values.length > 0 : values.includes(wanted)
  })
}

function found<Target>(entry: Entry<Target>, values: readonly string[], rest: string): Found<Target> {
  const parameters: Record<string, string> = {}
  for (const [index, name] of entry.names.entries()) parameters[name] = values[index]!
  return { target: entry.target, parameters, rest }
}

function step<Target>(node: TreeNode<Target>, segment: string): TreeNode<Target> {
  if (segment === ':') return (node.parameter ??= emptyNode())
  const next = node.literals.get(segment) ?? emptyNode<Target>()
  node.literals.set(segment, next)
  return next
}

function emptyNode<Target>(): TreeNode<Target> {
  return { literals: new Map(), parameter: undefined, here: [], below: [] }
}

/** Decodes once, for comparison only. An encoded slash stays inside its segment. */
function decode(segment: string): string {
  if (!segment.includes('%')) return segment
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}

/** The name in a Host field, in lower case, without the port. */
function hostOf(host: string): string {
  const colon = host.lastIndexOf(':')
  const name = colon > host.lastIndexOf(']') ? host.slice(0, colon) : host
  return name.toLowerCase()
}
