/** `https://*.shop.example:8443`, `http://localhost:3000`. */
const PATTERN = /^(https?):\/\/(\*\.)?([a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(?::(\d{1,5}))?$/

/**
 * What is wrong with an origin in a configuration.
 *
 * @param patterns - whether `https://*.shop.example` is one too
 */
export function originProblem(text: string, patterns: boolean): string | undefined {
  const match = PATTERN.exec(text)
  const [, scheme, wildcard, host = '', , port] = match ?? []
  if (!match || (wildcard !== undefined && (!patterns || !host.includes('.'))))
    return `must be an origin such as https://shop.example${patterns ? ' or https://*.shop.example' : ''}, in lower case, without a path`
  // Browsers leave it out, so that the comparison would never hold.
  if (port === (scheme === 'https' ? '443' : '80')) return 'must not name the port that its scheme has anyway'
  return undefined
}

/** Says whether a page's origin is one of those. `null`, the origin of whoever hides theirs, never is. */
export function originMatcher(origins: '*' | readonly string[]): (origin: string) => boolean {
  if (origins === '*') return () => true
  const exact = new Set(origins.filter((each) => !each.includes('*')))
  const wildcards = origins
    .filter((each) => each.includes('*'))
    .map((each) => each.split('*') as [string, string])
  if (wildcards.length === 0) return (origin) => exact.has(origin)
  return (origin) =>
    exact.has(origin) ||
    wildcards.some(([before, after]) => {
      const name = origin.slice(before.length, origin.length - after.length)
      return origin.startsWith(before) && origin.endsWith(after) && /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(name)
    })
}
