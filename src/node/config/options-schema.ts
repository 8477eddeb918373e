import { z } from 'zod'
import { DURATION_HINT, parseDuration } from '../../core/duration.js'
import { describe, type OptionKind, type OptionKinds } from '../../core/options.js'

/** A duration in a configuration: ms, or text with a unit. */
export const durationSchema = z
  .union([z.number(), z.string()], { error: `must be ${DURATION_HINT}` })
  .refine((value) => parseDuration(value) !== undefined, {
    error: `must be ${DURATION_HINT}`,
  })
  .meta({
    anyOf: [
      { type: 'number', minimum: 0 },
      { type: 'string', pattern: '^\\d+(\\.\\d+)?(ms|s|m|h|d)$' },
    ],
  })

/**
 * The schema of a policy's options, from the table by which the policy itself checks them, so that there is one
 * definition of each option. Options that only code can give are left out.
 *
 * @param table - such as `retryOptions`
 * @param setElsewhere - names of options that a configuration does not give
 */
export function optionsSchema(table: OptionKinds, setElsewhere: readonly string[] = []): z.ZodObject {
  const shape: Record<string, z.ZodType> = {}
  for (const [name, kind] of Object.entries(table)) {
    if (kind.kind === 'code' || setElsewhere.includes(name)) continue
    shape[name] = kindSchema(kind).optional().meta({ description: kind.doc })
  }
  return z.strictObject(shape)
}

function kindSchema(kind: OptionKind): z.ZodType {
  switch (kind.kind) {
    case 'duration': {
      const { min = 0 } = kind
      return durationSchema.refine((value) => (parseDuration(value) ?? min) >= min, {
        error: `must be ${describe(kind)}`,
      })
    }
    case 'number': {
      let schema = kind.integer ? z.int() : z.number()
      if (kind.min !== undefined) schema = schema.min(kind.min)
      if (kind.max !== undefined) schema = schema.max(kind.max)
      return schema
    }
    case 'boolean':
      return z.boolean()
    case 'string':
      return z.string()
    case 'choice':
      return z.literal([...kind.values])
    case 'list':
      return z.array(kindSchema(kind.of))
    case 'group':
      return optionsSchema(kind.options)
    case 'either': {
      const choices = kind.of.filter((choice) => choice.kind !== 'code').map(kindSchema)
      return z.union(choices as [z.ZodType, z.ZodType])
    }
    case 'code':
      throw new TypeError('options of code have no schema')
  }
}
