import type { Path } from './problem.js'

/** A configuration with something else in the place of its texts. */
export function mapTexts(
  value: unknown,
  map: (text: string, path: Path) => unknown,
  path: Path = [],
): unknown {
  if (typeof value === 'string') return map(value, path)
  if (Array.isArray(value)) return value.map((each, index) => mapTexts(each, map, [...path, index]))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [name, mapTexts(each, map, [...path, name])]),
  )
}
