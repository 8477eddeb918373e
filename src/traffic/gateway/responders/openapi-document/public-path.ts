import { parsePattern } from '../../router.js'

/** Where a route is for clients, and where its service gets its requests. */
export interface RoutePaths {
  /** Pattern that clients ask for. */
  readonly match: string
  /** What the matched prefix, or the whole path, becomes; `undefined` if it stays. */
  readonly rewrite: string | undefined
}

/**
 * The path under which clients reach an operation of a service.
 *
 * @param path - template at the service: `/v1/orders/{id}`
 * @returns `undefined` if they do not reach it through this route
 */
export function publicPath(path: string, { match, rewrite }: RoutePaths): string | undefined {
  const { tail } = parsePattern(match)
  const outside = partsOf(match)
  const inside = partsOf(rewrite ?? match)
  const given = path === '/' ? [] : path.slice(1).split('/')
  if (tail ? given.length < inside.length : given.length !== inside.length) return undefined
  const values = new Map<string, string>()
  for (const [index, part] of inside.entries()) {
    if (part.startsWith(':')) values.set(part.slice(1), given[index]!)
    // An operation for any value is more than this route lets through.
    else if (part !== given[index]) return undefined
  }
  const front = outside.map((part) =>
    part.startsWith(':') ? (values.get(part.slice(1)) ?? `{${part.slice(1)}}`) : part,
  )
  return `/${[...front, ...(tail ? given.slice(inside.length) : [])].join('/')}`
}

/** A route's pattern as a path template; what stands below a prefix is one part of it. */
export function templateOf(match: string): string {
  const parts = partsOf(match).map((part) => (part.startsWith(':') ? `{${part.slice(1)}}` : part))
  return `/${[...parts, ...(parsePattern(match).tail ? ['{rest}'] : [])].join('/')}`
}

function partsOf(pattern: string): string[] {
  const path = pattern.replace(/\/\*?$/, '')
  return path === '' ? [] : path.slice(1).split('/')
}
