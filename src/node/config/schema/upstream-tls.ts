import { isIP } from 'node:net'
import { z } from 'zod'

const file = z.string().min(1, 'must name a file')

/** `services.<name>.tls`. */
export const upstreamTls = z.strictObject({
  ca: file.optional().meta({
    description:
      'File with the certificates (PEM) that may vouch for endpoints. Default: those Node.js knows.',
  }),
  cert: file.optional().meta({
    description: 'File with the certificate (PEM, with its chain) shown to endpoints; needs `key`.',
  }),
  key: file.optional().meta({ description: 'File with the private key (PEM) of `cert`.' }),
  serverName: z
    .string()
    .regex(/^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/, 'must be a host name')
    .refine((name) => isIP(name) === 0, 'must be a host name, not an address')
    .optional()
    .meta({
      description: 'The name that certificates must be for, asked for by SNI. Default: the host of the URL.',
    }),
  verify: z
    .boolean()
    .optional()
    .meta({ description: 'Whether endpoints must show a valid certificate for their name. Default true.' }),
})
