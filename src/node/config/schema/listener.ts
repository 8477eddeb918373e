import { z } from 'zod'
import { isToken } from '../../../traffic/http/characters.js'
import { Kind, kindOf } from '../../../traffic/http/fields.js'
import { parseAddress } from '../../address.js'
import { atLeastOne, checkedBy } from './parts.js'

/** Where something listens. */
export const address = z.union([z.int().min(0).max(65_535), checkedBy(parseAddress)])

const file = z.string().min(1, 'must be the path of a file')

const hostName = z
  .string()
  .regex(/^(\*\.)?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$/, 'must be a host name, exact or `*.example.com`')

const ownField = z
  .string()
  .refine(isToken, 'is not a valid header name')
  .refine((name) => kindOf(name) === Kind.Ordinary, 'is a field that the gateway itself writes')

const certificate = z.strictObject({
  cert: file.meta({
    description: 'File with the certificate and those that vouch for it (PEM), our own first.',
  }),
  key: file.meta({ description: 'File with its private key (PEM).' }),
  passphrase: z.string().optional().meta({ description: 'What the key is encrypted with.' }),
  names: atLeastOne(hostName).optional().meta({
    description: 'Names it is shown for, exact or `*.example.com`. Default: those it was issued for.',
  }),
})

const clients = z.strictObject({
  ca: file.meta({ description: 'File with the authorities (PEM) that may vouch for clients.' }),
  mode: z.enum(['request', 'require']).meta({
    description: 'Whether a client must have a certificate. One that is shown must be valid in any case.',
  }),
  forward: z
    .union([
      z.literal(true),
      z.strictObject({
        certificate: z
          .boolean()
          .optional()
          .meta({ description: 'The certificate in `Client-Cert` (RFC 9440). Default true.' }),
        subject: ownField.optional().meta({ description: 'Field for the subject. Default: none.' }),
        names: ownField
          .optional()
          .meta({ description: 'Field for the subject alternative names. Default: none.' }),
      }),
    ])
    .optional()
    .meta({ description: 'Tells services about the certificate; `true` means `Client-Cert`.' }),
})

const tls = z.strictObject({
  certificates: atLeastOne(certificate).meta({
    description: 'Chosen by the name that a client asks for (SNI); the first one is for the others.',
  }),
  minVersion: z
    .enum(['TLSv1.2', 'TLSv1.3'])
    .optional()
    .meta({ description: 'The oldest version that clients may speak. Default TLSv1.2.' }),
  clients: clients.optional().meta({ description: 'Asks clients for certificates of their own.' }),
})

/** An entry of `listen`. */
export const listener = z.union([
  ...address.options,
  z.strictObject({
    address,
    tls: tls.optional().meta({ description: 'Clients come by TLS.' }),
    http2: z
      .boolean()
      .optional()
      .meta({ description: 'Whether HTTP/2 is offered beside HTTP/1.1; only with `tls`. Default true.' }),
    h2c: z.boolean().optional().meta({
      description: 'Whether HTTP/2 is taken without TLS from clients that begin with it. Default false.',
    }),
  }),
])
