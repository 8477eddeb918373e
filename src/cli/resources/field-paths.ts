/**
 * Paths of the fields that somebody owns, for people: `spec.discount`. An element of a list that is somebody's is named without its
 * fields: `status.conditions[type=Ready]`.
 *
 * @param fields - as in `metadata.managedFields`
 */
export function fieldPaths(fields: object, before = ''): string[] {
  return Object.entries(fields).flatMap(([key, inner]) => {
    if (key === '.') return []
    const path = before + stepOf(key, before === '')
    const within = Object(inner) as object
    if (key.startsWith('k:') && '.' in within) return [path]
    const below = fieldPaths(within, path)
    return below.length > 0 ? below : [path]
  })
}

function stepOf(key: string, isFirst: boolean): string {
  const name = key.slice(2)
  if (key.startsWith('f:')) return isFirst ? name : `.${name}`
  if (!key.startsWith('k:')) return `[${name}]`
  const keys = Object.entries(JSON.parse(name) as Record<string, unknown>)
  return `[${keys.map(([field, value]) => `${field}=${String(value)}`).join(',')}]`
}
