/** Directives of a Cache-Control field: names in lower case, arguments without quotes, empty where there is none. */
export type Directives = ReadonlyMap<string, string>

const DIRECTIVE = /([!#$%&'*+\-.^_`|~\w]+)(?:[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s,;"]*)))?/g

/**
 * Reads a Cache-Control field (RFC 9111 5.2). Names are compared without case, an argument in quotes is one argument,
 * and of a directive that stands twice the first counts (4.2.1).
 */
export function readDirectives(field: string | undefined): Directives {
  const found = new Map<string, string>()
  if (field === undefined) return found
  for (const [, name = '', quoted, plain] of field.matchAll(DIRECTIVE)) {
    const lower = name.toLowerCase()
    if (!found.has(lower)) found.set(lower, quoted?.replace(/\\(.)/g, '$1') ?? plain ?? '')
  }
  return found
}

/**
 * An argument that is a time.
 *
 * @returns ms; `undefined` without the directive; 0 if the argument is not a number of seconds, as that is stale
 */
export function millisecondsOf(directives: Directives, name: string): number | undefined {
  const argument = directives.get(name)
  if (argument === undefined) return undefined
  // RFC 9111 1.2.2: more than a recipient can represent is 2^31 seconds.
  return /^\d+$/.test(argument) ? Math.min(Number(argument), 2 ** 31) * 1000 : 0
}
