/** A JSON Schema of draft 2020-12. */
export type ResourceSchema = Readonly<Record<string, unknown>>

/** What a resource has that is not the same for all kinds. */
export interface Content {
  spec?: unknown
  status?: unknown
}

/** The content of a resource; what is not there is no property. */
export function contentOf({ spec, status }: Content): Content {
  return { ...(spec !== undefined && { spec }), ...(status !== undefined && { status }) }
}

/** Where something is: `spec.steps[2].name`. */
export function fieldOf(parts: readonly (string | number)[]): string {
  return parts
    .map((part, index) => (/^\d+$/.test(String(part)) ? `[${part}]` : index === 0 ? part : `.${part}`))
    .join('')
}
