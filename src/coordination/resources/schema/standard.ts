import { pathOf, type StandardSchema } from '../../../core/standard-schema.js'
import type { ResourceProblem } from '../error.js'
import { fieldOf, type Content, type ResourceSchema } from './content.js'

/** What JSON Schema says of a part that a Standard Schema describes: that cannot be looked into. */
export const ANYTHING_IN_IT: ResourceSchema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }

/** The parts of a resource that Standard Schemas describe. */
export type StandardParts = { readonly [Part in keyof Content]?: StandardSchema }

/** Everything that Standard Schemas have against a content. What they would make of it is not taken: it stays as it was written. */
export async function standardProblems(
  schemas: StandardParts,
  content: Content,
): Promise<readonly ResourceProblem[]> {
  const problems = (['spec', 'status'] as const).map(async (part) => {
    const schema = schemas[part]
    if (!schema || content[part] === undefined) return []
    const { issues = [] } = await schema['~standard'].validate(content[part])
    return issues.map((issue) => ({
      reason: 'FieldValueInvalid' as const,
      field: fieldOf([part, ...pathOf(issue)]),
      message: `Invalid value: ${issue.message}`,
    }))
  })
  return (await Promise.all(problems)).flat()
}
