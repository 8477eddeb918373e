/** A copy of an object without some of its properties. */
export function without<Value extends object, Name extends keyof Value>(
  value: Value,
  ...names: readonly Name[]
): Omit<Value, Name> {
  const copy = { ...value }
  for (const name of names) Reflect.deleteProperty(copy, name)
  return copy
}
