import { isIP } from 'node:net'
import { z } from 'zod'
import { isFieldValue, isToken } from '../../../traffic/http/characters.js'

/** A check by a function that throws with a good message. */
export function checkedBy(check: (text: string) => unknown): z.ZodString {
  return z.string().superRefine((text, context) => {
    try {
      check(text)
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as Error).message })
    }
  })
}

/** What things are called. */
export const name = z
  .string()
  .regex(/^[A-Za-z0-9_][\w.-]*$/, 'must be made of letters, digits, `_`, `-` and `.`')

/** A size in bytes. */
export const bytes = z
  .union([
    z.int().min(1),
    z.string().regex(/^[1-9]\d*(kB|MB|GB)$/, 'must be a number of bytes or text such as "64kB"'),
  ])
  .meta({ description: 'Bytes, or text such as "64kB", "10MB".' })

/** A share of the traffic. */
export const weight = z
  .number()
  .min(0)
  .meta({ description: 'Share against the others. Default 1; 0 takes nothing.' })

export function atLeastOne<S extends z.ZodType>(schema: S): z.ZodArray<S> {
  return z.array(schema).min(1, 'must have one entry at least')
}

/** One, or a list. */
export const oneOrMore = <S extends z.ZodType>(schema: S) => z.union([schema, atLeastOne(schema)])

/** Header fields and their values. */
export const fieldValues = z.record(
  z.string().refine(isToken, 'is not a valid header name'),
  z.string().refine(isFieldValue, 'is not a valid header value'),
)

/** An IP address or a block of them. */
export const network = z
  .string()
  .refine(isNetwork, 'must be an IP address or a CIDR block such as 10.0.0.0/8')

function isNetwork(text: string): boolean {
  const [ip = '', prefix, ...rest] = text.split('/')
  const family = isIP(ip)
  return (
    family !== 0 &&
    rest.length === 0 &&
    (prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128)))
  )
}

/** How deep the JSON of a body may be. */
export const maxDepth = z
  .int()
  .min(1)
  .max(512)
  .optional()
  .meta({ description: 'Most levels of arrays and objects in a body. Default 64.' })

/** A module of the user's own, and perhaps which of its exports. */
export const moduleReference = z
  .string()
  .regex(/^[^#]+(#[^#]+)?$/, 'must name a module such as ./projections/catalogue.ts')
