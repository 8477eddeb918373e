/** The same, and nobody can change it: it may be given to many. Of plain objects, as JSON has them. */
export function frozen<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  // Without an array of the parts of each object: with many resources those are most of what it costs.
  if (Array.isArray(value)) value.forEach(frozen)
  else for (const name in value) frozen(value[name])
  return Object.freeze(value)
}
