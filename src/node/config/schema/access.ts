import { z } from 'zod'
import { PUBLIC_ALGORITHMS, SECRET_ALGORITHMS } from '../../../traffic/gateway/filters/access/algorithms.js'
import { isTime } from '../../../traffic/gateway/filters/access/key-entry.js'
import { isKeyHash } from '../../../traffic/gateway/filters/access/key-hash.js'
import { parsePasswordHash } from '../../../traffic/gateway/filters/access/password.js'
import { originProblem } from '../../../traffic/gateway/filters/cors/origins.js'
import { isToken } from '../../../traffic/http/characters.js'
import { Kind, kindOf } from '../../../traffic/http/fields.js'
import { durationSchema } from '../options-schema.js'
import { atLeastOne, name, oneOrMore } from './parts.js'

const text = z.string().min(1, 'must not be empty')
const fieldName = z.string().refine(isToken, 'is not a valid header name')
const scopes = z.array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, 'must be scopes without blanks'))
const claims = z.record(z.string(), z.unknown())

export const webUrl = z.string().refine((url) => {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  return (
    parsed !== undefined && /^https?:$/.test(parsed.protocol) && parsed.username === '' && parsed.hash === ''
  )
}, 'must be an http or https URL, without credentials')

export const secret = z
  .union([z.strictObject({ env: text }), z.strictObject({ file: text })])
  .meta({ description: 'Where the secret is: `env` names an environment variable, `file` a file.' })

const from = atLeastOne(
  z
    .string()
    .regex(
      /^(bearer|(cookie|header):[\w!#$%&'*+.^`|~-]+)$/,
      'must be `bearer`, `cookie:<name>` or `header:<name>`',
    ),
)

const claimNames = z.strictObject({
  subject: text.optional().meta({ description: 'The claim that says who it is. Default sub.' }),
  scopes: text
    .optional()
    .meta({ description: 'The claim that says what they may do. Default scope, else scp.' }),
})

const remember = z.int().min(0)

const jwt = z.strictObject({
  keys: z
    .strictObject({
      url: webUrl.optional().meta({ description: 'Where the issuer publishes a JWK set.' }),
      refreshEvery: durationSchema
        .optional()
        .meta({ description: 'With url: how old keys may be before they are fetched again. Default 10m.' }),
      cooldown: durationSchema
        .optional()
        .meta({ description: 'With url: least time between fetches for unknown keys. Default 30s.' }),
      useStaleFor: durationSchema.optional().meta({
        description: 'With url: how long the last keys are used when there are no newer ones. Default 24h.',
      }),
      timeout: durationSchema.optional().meta({ description: 'With url: for one fetch. Default 5s.' }),
      file: text.optional().meta({ description: 'A JWK set in a file.' }),
      list: atLeastOne(z.record(z.string(), z.unknown())).optional().meta({ description: 'JWKs.' }),
      secret: secret.optional(),
    })
    .meta({ description: 'Of whoever signs: one of url, file, list and secret.' }),
  issuer: oneOrMore(text).meta({ description: 'Who must have issued the token (iss).' }),
  audience: z
    .union([z.literal(false), oneOrMore(text)])
    .meta({ description: 'For whom it must be (aud), one of them; `false` where tokens do not say.' }),
  algorithms: atLeastOne(z.enum([...PUBLIC_ALGORITHMS, ...SECRET_ALGORITHMS]))
    .optional()
    .meta({ description: 'Which may have signed it. Default: all of public keys, or HS256 for a secret.' }),
  clockSkew: durationSchema.optional().meta({ description: 'How far clocks may be apart. Default 30s.' }),
  from: from.optional().meta({ description: 'Where the token is. Default bearer.' }),
  required: z.array(text).optional().meta({ description: 'Claims that must be there.' }),
  type: text.optional().meta({ description: 'What its header must state as typ, such as at+jwt.' }),
  claims: claimNames.optional().meta({ description: 'Which claims say what.' }),
  remember: remember
    .optional()
    .meta({ description: 'Verified tokens remembered. Default 10000; 0 for none.' }),
})

const introspection = z.strictObject({
  url: webUrl.meta({ description: 'Of the introspection endpoint (RFC 7662).' }),
  clientId: text.meta({ description: 'What the gateway is called there.' }),
  clientSecret: secret,
  issuer: oneOrMore(text).optional().meta({ description: 'Who must have issued the token.' }),
  audience: oneOrMore(text).optional().meta({ description: 'For whom it must be, one of them.' }),
  cacheFor: durationSchema
    .optional()
    .meta({ description: 'How long an active token is not asked about again. Default 1m.' }),
  cacheInactiveFor: durationSchema
    .optional()
    .meta({ description: 'How long an inactive one is not. Default 10s.' }),
  useStaleFor: durationSchema
    .optional()
    .meta({ description: 'How long an active token still counts while the issuer is down. Default 0.' }),
  timeout: durationSchema.optional().meta({ description: 'For one question. Default 2s.' }),
  concurrency: z.int().min(1).optional().meta({ description: 'Questions at the same time. Default 64.' }),
  remember: remember.optional().meta({ description: 'Answers remembered. Default 10000.' }),
  from: from.optional().meta({ description: 'Where the token is. Default bearer.' }),
  claims: claimNames.optional().meta({ description: 'Which claims say what.' }),
})

const apiKey = z.strictObject({
  keys: z
    .record(
      name,
      z.strictObject({
        hash: z
          .string()
          .refine(isKeyHash, 'must be `sha256:` and 64 hexadecimal digits, as `banyan key create` prints it'),
        subject: text.optional().meta({ description: 'Whose key it is. Default: its name.' }),
        scopes: scopes.optional(),
        expires: z
          .string()
          .refine(isTime, 'must be a date, or a time with its zone, of ISO 8601')
          .optional()
          .meta({ description: 'When it stops to be valid. Default never.' }),
        revoked: z.boolean().optional().meta({ description: 'Whether it was taken back. Default false.' }),
        claims: claims.optional().meta({ description: 'More that is known of its owner.' }),
      }),
    )
    .optional()
    .meta({ description: 'Keys by name.' }),
  file: text.optional().meta({ description: 'A file with more keys by name, read again when it changes.' }),
  from: from.optional().meta({ description: 'Where the key is. Default header:X-Api-Key.' }),
})

const basic = z.strictObject({
  users: z
    .record(
      z.string().regex(/^[^:\p{Cc}]+$/u, 'must be a name without a colon'),
      z.strictObject({
        hash: z
          .string()
          .refine(
            (hash) => parsePasswordHash(hash) !== undefined,
            'must be a scrypt hash as `banyan password` prints it',
          ),
        scopes: scopes.optional(),
        claims: claims.optional().meta({ description: 'More that is known of the user.' }),
      }),
    )
    .meta({ description: 'Users by name.' }),
  cacheFor: durationSchema
    .optional()
    .meta({ description: 'How long a right password is not verified again. Default 5m.' }),
  concurrency: z.int().min(1).optional().meta({ description: 'Verified at the same time. Default 2.' }),
  queue: z.int().min(0).optional().meta({ description: 'That may wait for it. Default 32.' }),
})

const certificate = z.strictObject({
  subjects: z.array(text).optional().meta({ description: 'Distinguished names: `CN=*,O=Acme`.' }),
  names: z
    .array(z.string().regex(/^(DNS|URI|email|IP):./, 'must be such as DNS:a.example or URI:spiffe://...'))
    .optional()
    .meta({ description: 'Alternative names: `URI:spiffe://acme/ns/*/sa/orders`.' }),
  fingerprints: z
    .array(z.string().regex(/^([0-9a-f]{2}:?){31}[0-9a-f]{2}$/i, 'must be a SHA-256 in hexadecimal'))
    .optional()
    .meta({ description: 'SHA-256 of certificates.' }),
  scopes: z.record(text, scopes).optional().meta({ description: 'Scopes by who it is.' }),
})

/** `authenticators.<name>`. */
export const authenticator = z.strictObject({
  jwt: jwt.optional().meta({ description: 'Signed tokens (RFC 7519).' }),
  introspection: introspection.optional().meta({ description: 'Tokens that their issuer is asked about.' }),
  apiKey: apiKey.optional().meta({ description: 'Keys that were handed out.' }),
  basic: basic.optional().meta({ description: 'Names and passwords (RFC 7617).' }),
  certificate: certificate.optional().meta({ description: 'Client certificates (mutual TLS).' }),
})

const claimValue = z.union([z.string(), z.number(), z.boolean()])

/** `routes.<name>.access`. */
export const access = z.strictObject({
  by: oneOrMore(name)
    .optional()
    .meta({ description: 'Names of authenticators, the first that knows decides.' }),
  optional: z
    .boolean()
    .optional()
    .meta({ description: 'Whether requests without credentials pass too. Default false.' }),
  allow: z
    .strictObject({
      scopes: atLeastOne(text).optional().meta({ description: 'Scopes that are needed, all of them.' }),
      claims: z
        .record(text, oneOrMore(claimValue))
        .optional()
        .meta({ description: 'Claims that are needed: the value, or one of them.' }),
      subjects: atLeastOne(text)
        .optional()
        .meta({ description: 'Who it must be, one of them; `*` for any text.' }),
      rule: text.optional().meta({ description: 'A condition in CEL on identity, request and client.' }),
    })
    .optional()
    .meta({ description: 'Who may pass of those that are known; all that is given must hold.' }),
  identityHeaders: z
    .record(
      z
        .string()
        .refine(isToken, 'is not a valid header name')
        .refine((field) => kindOf(field) === Kind.Ordinary, 'has a meaning of its own; choose another field'),
      text,
    )
    .optional()
    .meta({
      description: 'Fields that tell the service who asks: `sub`, `scopes`, `by` or a claim by name.',
    }),
  forwardCredentials: z
    .boolean()
    .optional()
    .meta({ description: 'Whether the service gets the credentials too. Default false.' }),
  realm: text.optional().meta({ description: 'What the credentials are for. Default banyan.' }),
})

const origin = (patterns: boolean): z.ZodString =>
  z.string().superRefine((value, context) => {
    const message = originProblem(value, patterns)
    if (message !== undefined) context.addIssue({ code: 'custom', message })
  })

/** `routes.<name>.cors`. */
export const cors = z.strictObject({
  origins: z
    .union([z.literal('*'), atLeastOne(origin(true))])
    .meta({ description: 'Origins that may read answers: exact, `https://*.shop.example`, or `*` alone.' }),
  credentials: z
    .boolean()
    .optional()
    .meta({ description: 'Whether they may send cookies and the like. Default false.' }),
  methods: atLeastOne(z.string().refine(isToken, 'is not a valid method'))
    .optional()
    .meta({ description: 'Methods they may use. Default: those of the route, or all common ones.' }),
  headers: z
    .union([z.literal('*'), z.array(fieldName)])
    .optional()
    .meta({ description: 'Fields they may send. Default Authorization and Content-Type.' }),
  expose: z.array(fieldName).optional().meta({ description: 'Fields of answers that they may read.' }),
  maxAge: durationSchema.optional().meta({ description: 'How long a preflight holds. Default 10m.' }),
  privateNetwork: z
    .boolean()
    .optional()
    .meta({ description: 'Whether public pages may ask in a private network. Default false.' }),
})

/** `routes.<name>.csrf`. */
export const csrf = z.union([
  z.boolean(),
  z.strictObject({
    trust: z
      .array(origin(true))
      .optional()
      .meta({ description: 'Other origins whose pages may cause requests.' }),
  }),
])
