import { z } from 'zod'
import { isToken } from '../../../traffic/http/characters.js'
import { durationSchema } from '../options-schema.js'
import { bytes, maxDepth, name } from './parts.js'

const expression = z.string().min(1)

const branch = z.strictObject({
  service: name,
  method: z
    .string()
    .refine((text) => isToken(text) && text === text.toUpperCase(), 'must be a method in capitals')
    .optional()
    .meta({ description: 'Default GET.' }),
  path: z.string().meta({
    description: 'Path at the service; may hold `:name` parts of the route and `$(expression)`.',
  }),
  query: z
    .record(z.string(), z.unknown())
    .optional()
    .meta({ description: 'Query parameters. A list stands once for each element, `null` not at all.' }),
  headers: z.record(z.string(), z.string()).optional().meta({ description: 'Header fields.' }),
  forward: z
    .array(z.string())
    .optional()
    .meta({ description: "The client's header fields that are passed on. Default none." }),
  body: z.unknown().optional().meta({ description: 'Body, sent as JSON.' }),
  timeout: durationSchema
    .optional()
    .meta({ description: 'From the start of a request to the end of its answer.' }),
  after: z
    .array(z.string())
    .optional()
    .meta({ description: 'Branches to wait for whose values are not read.' }),
  when: expression.optional().meta({ description: 'Skips the branch unless it is true.' }),
  forEach: expression
    .optional()
    .meta({ description: 'A list: one request for each element, which is `item`, its number `index`.' }),
  maxItems: z.int().min(1).optional().meta({ description: 'Most elements of that list. Default 100.' }),
  concurrency: z.int().min(1).optional().meta({ description: 'Most requests at the same time. Default 10.' }),
  optional: z
    .union([z.literal(true), z.strictObject({ default: z.unknown().optional() })])
    .optional()
    .meta({ description: 'Whether there is an answer without it, and what stands in for its body.' }),
  onStatus: z
    .record(z.string(), z.int().min(400).max(599))
    .optional()
    .meta({ description: 'Statuses of the branch that end the whole with a status: `404: 404`.' }),
})

/** `routes.<name>.aggregate`. */
export const aggregate = z.strictObject({
  branches: z.record(z.string(), branch).meta({ description: 'The requests to make, by name.' }),
  merge: z.enum(['branches', 'shallow']).optional().meta({
    description: 'How bodies become one: a member for each branch (default), or all their members.',
  }),
  answer: z
    .strictObject({
      status: z
        .union([z.int().min(200).max(599), z.string()])
        .optional()
        .meta({ description: 'Default 200.' }),
      headers: z.record(z.string(), z.string()).optional(),
      body: z.unknown().optional().meta({ description: 'The body, as a template.' }),
    })
    .optional()
    .meta({ description: 'The answer to the client. Text may hold `$(expression)`.' }),
  maxBytes: bytes.optional().meta({ description: 'Most bytes of all bodies together. Default 4MB.' }),
  maxDepth,
})
