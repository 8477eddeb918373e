import { z } from 'zod'

const label = z
  .string()
  .regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'must be lower case letters, digits and `-`, up to 63')

/** `resources`: that entries of the configuration are resources which others can read and change. */
export const resources = z
  .strictObject({
    namespace: label
      .optional()
      .meta({ description: 'Nodes with the same namespace run the same entries. Default `default`.' }),
    node: label.optional().meta({
      description: 'The name of this node, under which its own settings are. Default: that of the machine.',
    }),
    manager: z
      .string()
      .min(1)
      .max(128)
      .regex(/^[ -~]+$/, 'must be printable ASCII')
      .optional()
      .meta({
        description:
          'Who the fields belong to that the file says; the same for all nodes that have the same file. Default `banyan.yaml`.',
      }),
  })
  .meta({
    description:
      'Keeps the entries of the configuration as resources, which an API and other nodes can change too. Default: not.',
  })
