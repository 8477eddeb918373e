import { z } from 'zod'
import { bytes, oneOrMore } from './parts.js'

/** What a capture is called: a replication slot is, too. */
export const captureName = z
  .string()
  .regex(/^[a-z][a-z0-9_]{0,39}$/, 'must be lower case letters, digits and `_`, up to 40')

const type = z.string().min(1)

const table = z.strictObject({
  topic: z.string().min(1).meta({ description: 'Where its events go: a row has the stream `topic-key`.' }),
  key: oneOrMore(z.string().min(1))
    .optional()
    .meta({ description: 'Columns that name the stream of a row. Default: the primary key.' }),
  types: z
    .strictObject({
      insert: type.optional(),
      update: type.optional(),
      delete: type.optional(),
      snapshot: type.optional(),
      truncate: type.optional(),
    })
    .optional()
    .meta({ description: 'Types of its events. Default: `CustomerInserted` and so on, of the topic.' }),
  map: z
    .string()
    .regex(/^[^#]+(#[^#]+)?$/, 'must name a module such as ./cdc/customers.ts')
    .optional()
    .meta({ description: 'What exports the function that makes events of changes: ./cdc/customers.ts#map.' }),
})

/** `cdc.<name>`. */
export const capture = z.strictObject({
  from: z
    .string()
    .regex(/^postgres(ql)?:\/\/./, 'must be postgres://user:password@host/database')
    .meta({
      description:
        'The database, directly and not through a pooler: `postgres://user:password@host/database`.',
    }),
  tables: z.record(z.string().min(1), table).meta({
    description: 'What becomes of the changes of each table, by name with its schema: `public.customers`.',
  }),
  resnapshotOn: z
    .array(z.enum(['slot-lost', 'schema-changed']))
    .optional()
    .meta({
      description: 'When to take a new snapshot by itself: `slot-lost`, `schema-changed`. Default never.',
    }),
  maxLag: bytes.optional().meta({
    description: 'Write-ahead log that the database may keep before that is reported. Default 1GB.',
  }),
  maxParked: z
    .int()
    .min(1)
    .optional()
    .meta({ description: 'Rows that may be parked before it waits for them to be mended. Default 10000.' }),
  batch: z
    .int()
    .min(1)
    .max(5000)
    .optional()
    .meta({ description: 'Changes of one commit of the log, at most. Default 1000.' }),
})
