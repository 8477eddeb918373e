/**
 * What zod, valibot, arktype and others have in common: Standard Schema, version 1 (standardschema.dev). Only its
 * types, so that none of them is needed.
 */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>
    readonly types?: { readonly input: Input; readonly output: Output } | undefined
  }
}

type StandardResult<Output> =
  { readonly value: Output; readonly issues?: undefined } | { readonly issues: readonly StandardIssue[] }

/** What is wrong, and where: names and numbers, or objects that hold one. */
export interface StandardIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** Schemas may be functions, as those of arktype. */
export function isStandardSchema(schema: unknown): schema is StandardSchema {
  return (
    (typeof schema === 'object' || typeof schema === 'function') && schema !== null && '~standard' in schema
  )
}

/** Where an issue is. */
export function pathOf({ path = [] }: StandardIssue): (string | number)[] {
  // Not path.map: those of arktype are a kind of array whose map is not.
  return Array.from(path, (part) => {
    const key = typeof part === 'object' ? part.key : part
    return typeof key === 'symbol' ? String(key) : key
  })
}
