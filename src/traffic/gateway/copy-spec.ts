/**
 * A copy of plain data, so that nobody can change a specification behind our back, or believe that changing the object
 * in place changes the gateway: what is in force is compared with what is asked for. What is not plain (a function, an
 * object with a class) is shared.
 */
export function copySpec<Spec>(spec: Spec): Spec {
  if (Array.isArray(spec)) return spec.map(copySpec) as Spec
  if (typeof spec !== 'object' || spec === null) return spec
  const prototype: unknown = Object.getPrototypeOf(spec)
  if (prototype !== Object.prototype && prototype !== null) return spec
  return Object.fromEntries(Object.entries(spec).map(([name, value]) => [name, copySpec(value)])) as Spec
}
