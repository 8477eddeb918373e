import { z } from 'zod'
import { replicasOptions } from '../../../coordination/replication/options.js'
import { optionsSchema } from '../options-schema.js'
import { name } from './parts.js'

/** `replicas.<name>`; the event log of the node is told of beside them. */
export const replicasName = name.refine(
  (text) => text !== 'events',
  'is what the event log of the node is called',
)

/** What a configuration does not say: the node reads and writes nothing there. */
const OTHERS = ['nodes', 'name', 'coordinator', 'wait', 'failover', 'buffer', 'connections']

/** `replicas.<name>`. */
export const replicas = z.strictObject({
  nodes: z
    .record(
      name,
      z
        .string()
        .regex(/^postgres(ql)?:\/\/./, 'must be a URL such as postgres://user:password@host:5432/database'),
    )
    .refine((nodes) => Object.keys(nodes).length > 0, 'must name one server at least')
    .meta({ description: 'Its servers by name, leader and followers in any order: `postgres://...`.' }),
  ...optionsSchema(replicasOptions, OTHERS).shape,
})
