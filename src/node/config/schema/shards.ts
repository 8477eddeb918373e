import { z } from 'zod'
import { runMovesOptions } from '../../../coordination/sharding/data/moves/options.js'
import { optionsSchema } from '../options-schema.js'
import { atLeastOne, name } from './parts.js'

const table = z.string().min(1, 'must name a table')

/** `shards.<name>`. */
export const dataShards = z.strictObject({
  databases: z
    .record(
      name,
      z
        .string()
        .regex(
          /^(sqlite:.|postgres(ql)?:\/\/.)/,
          'must be sqlite:./a.db or postgres://user:password@host/database',
        ),
    )
    .meta({
      description:
        'The databases, by the names of their shards, all of one engine: `sqlite:./a.db`, `postgres://...`.',
    }),
  tables: z
    .record(
      table,
      z.strictObject({
        key: z
          .string()
          .min(1, 'must name a column')
          .meta({ description: 'The column that decides in which database a row is.' }),
      }),
    )
    .meta({ description: 'The tables whose rows are spread over the databases.' }),
  reference: atLeastOne(table)
    .optional()
    .meta({ description: 'Tables that are the same in every database. Default: none.' }),
  buckets: z
    .int()
    .min(1)
    .max(65_536)
    .optional()
    .meta({ description: 'How many buckets there are, for ever. Default 1024.' }),
  weights: z.record(name, z.number().min(0)).optional().meta({
    description: 'How much a database shall have beside the others. Default: as it is, or 1.',
  }),
  moves: optionsSchema(runMovesOptions, ['holder', 'once'])
    .optional()
    .meta({ description: 'How rows are moved from one database to another.' }),
})
