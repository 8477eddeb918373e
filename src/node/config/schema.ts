import { z } from 'zod'
import { isFieldValue, isToken } from '../../traffic/http/characters.js'
import { parseEndpoint } from '../../traffic/gateway/service.js'
import { bulkheadOptions } from '../../traffic/policies/bulkhead.js'
import { circuitBreakerOptions } from '../../traffic/policies/circuit-breaker.js'
import { hedgeOptions } from '../../traffic/policies/hedge.js'
import { rateLimitOptions } from '../../traffic/policies/rate-limit.js'
import { retryOptions } from '../../traffic/policies/retry.js'
import { parseAddress } from '../address.js'
import { durationSchema, optionsSchema } from './options-schema.js'
import { isIP } from 'node:net'

const NAMED_BY_GATEWAY = ['name']

/** A check by a function that throws with a good message. */
function checkedBy(check: (text: string) => unknown): z.ZodString {
  return z.string().superRefine((text, context) => {
    try {
      check(text)
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as Error).message })
    }
  })
}

const name = z.string().regex(/^[A-Za-z0-9_][\w.-]*$/, 'must be made of letters, digits, `_`, `-` and `.`')

const address = z.union([z.int().min(0).max(65_535), checkedBy(parseAddress)])

const bytes = z
  .union([
    z.int().min(1),
    z.string().regex(/^[1-9]\d*(kB|MB|GB)$/, 'must be a number of bytes or text such as "64kB"'),
  ])
  .meta({ description: 'Bytes, or text such as "64kB", "10MB".' })

const weight = z
  .number()
  .min(0)
  .meta({ description: 'Share against the others. Default 1; 0 takes nothing.' })

const endpointUrl = checkedBy(parseEndpoint).meta({
  description: '`http://host:port` or `https://host:port`, without a path.',
})

function atLeastOne<S extends z.ZodType>(schema: S): z.ZodArray<S> {
  return z.array(schema).min(1, 'must have one entry at least')
}

const service = z.strictObject({
  endpoints: atLeastOne(
    z.union([endpointUrl, z.strictObject({ url: endpointUrl, weight: weight.optional() })]),
  ).meta({ description: 'Addresses of the service.' }),
  balance: z.enum(['least-request', 'round-robin']).optional().meta({
    description: 'How an endpoint is chosen. Default least-request: the less busy of two random ones.',
  }),
  policy: name.optional().meta({ description: 'Policy of every call of this service.' }),
  maxConnections: z
    .int()
    .min(1)
    .optional()
    .meta({ description: 'Most connections to one endpoint. Default 1024.' }),
  connectTimeout: durationSchema
    .optional()
    .meta({ description: 'How long connecting may take. Default 1s.' }),
  idleTimeout: durationSchema
    .optional()
    .meta({ description: 'Longest silence of an endpoint while it owes bytes. Default 60s.' }),
})

const fieldValues = z.record(
  z.string().refine(isToken, 'is not a valid header name'),
  z.string().refine(isFieldValue, 'is not a valid header value'),
)

const headerEdits = z.strictObject({
  set: fieldValues.optional().meta({ description: 'Sets fields, replacing what is there.' }),
  add: fieldValues.optional().meta({ description: 'Adds fields beside what is there.' }),
  remove: z.array(z.string()).optional().meta({ description: 'Removes fields.' }),
})

const policy = z.strictObject({
  timeout: durationSchema.optional().meta({ description: 'Deadline of the whole call with all its tries.' }),
  tryTimeout: durationSchema.optional().meta({ description: 'Timeout of each try.' }),
  retry: optionsSchema(retryOptions, NAMED_BY_GATEWAY)
    .optional()
    .meta({ description: 'Tries again what may work the next time.' }),
  hedge: optionsSchema(hedgeOptions, NAMED_BY_GATEWAY)
    .optional()
    .meta({ description: 'A second try beside a slow one.' }),
  breaker: optionsSchema(circuitBreakerOptions, NAMED_BY_GATEWAY)
    .extend({
      per: z
        .enum(['endpoint', 'service'])
        .optional()
        .meta({ description: 'One breaker for each endpoint (default), or one for the service.' }),
    })
    .optional()
    .meta({ description: 'Refuses calls while they keep failing.' }),
  bulkhead: optionsSchema(bulkheadOptions, NAMED_BY_GATEWAY)
    .optional()
    .meta({ description: 'Bounds calls at the same time.' }),
  rateLimit: optionsSchema(rateLimitOptions, NAMED_BY_GATEWAY)
    .required({ limit: true, window: true })
    .extend({
      by: z
        .string()
        .regex(/^(client|all|header:[\w-]+)$/, 'must be `client`, `all` or `header:<name>`')
        .optional()
        .meta({
          description: 'Whose requests are counted together: `client` (default), `all`, or `header:<name>`.',
        }),
    })
    .optional()
    .meta({ description: 'Bounds how often calls are made.' }),
  fallback: z
    .strictObject({
      status: z
        .int()
        .min(200)
        .max(599)
        .optional()
        .meta({ description: 'Status of the fixed answer. Default 200.' }),
      headers: fieldValues.optional().meta({ description: 'Header fields of the fixed answer.' }),
      body: z
        .unknown()
        .optional()
        .meta({ description: 'Body of the fixed answer; an object is sent as JSON.' }),
      staleFor: durationSchema
        .optional()
        .meta({ description: 'A good answer to the same GET may be given again up to this age.' }),
    })
    .optional()
    .meta({ description: 'What clients get instead of an error.' }),
})

const oneOrMore = <S extends z.ZodType>(schema: S) => z.union([schema, atLeastOne(schema)])

const route = z.strictObject({
  match: z
    .strictObject({
      host: oneOrMore(
        z.string().regex(/^(\*|(\*\.)?[A-Za-z0-9.-]+)$/, 'must be a host name, exact or `*.example.com`'),
      )
        .optional()
        .meta({ description: 'Host names, exact or `*.example.com`. Default: any.' }),
      path: z
        .string()
        .superRefine((path, context) => {
          const problem = patternProblem(path)
          if (problem) context.addIssue({ code: 'custom', message: problem })
        })
        .optional()
        .meta({ description: '`/exact`, `/prefix/*`, or a pattern such as `/orders/:id`. Default: any.' }),
      method: oneOrMore(z.string().refine(isToken, 'is not a valid method'))
        .optional()
        .meta({ description: 'Methods, in capitals. Default: any.' }),
      headers: z
        .record(z.string(), z.string())
        .optional()
        .meta({ description: 'Header fields: an exact value, or `*` for present.' }),
      query: z
        .record(z.string(), z.string())
        .optional()
        .meta({ description: 'Query parameters: an exact value, or `*` for present.' }),
    })
    .meta({ description: 'Which requests the route takes. All given parts must match.' }),
  to: z
    .union([name, atLeastOne(z.strictObject({ service: name, weight: weight.optional() }))])
    .meta({ description: 'The service, or services with their weights.' }),
  rewrite: z
    .strictObject({
      path: z
        .string()
        .regex(/^\//, 'must begin with a slash')
        .optional()
        .meta({ description: 'Replaces the matched prefix, or the whole path; may use `:name` parts.' }),
      host: z.string().optional().meta({ description: 'The Host that the service sees.' }),
    })
    .optional(),
  headers: z.strictObject({ request: headerEdits.optional(), response: headerEdits.optional() }).optional(),
  policy: name.optional().meta({ description: 'A policy around the one of the service.' }),
  upgrade: z
    .boolean()
    .optional()
    .meta({ description: 'Whether WebSocket and other switches of protocol pass. Default true.' }),
})

/** What a `banyan.yaml` may say. Every object is strict: an unknown key is an error. */
export const configSchema = z.strictObject({
  $schema: z.string().optional(),
  listen: oneOrMore(address).meta({
    description: 'Where clients come in: `host:port`, `:port` or a port on loopback; one or a list.',
  }),
  admin: z
    .union([z.literal(false), address])
    .optional()
    .meta({ description: 'Where operators come in. Default 127.0.0.1:8081; `false` for nowhere.' }),
  services: z.record(name, service).meta({ description: 'Upstreams by name.' }),
  policies: z.record(name, policy).optional().meta({ description: 'Sets of policies by name.' }),
  routes: z.record(name, route).meta({ description: 'Which requests go where, by name.' }),
  drain: z
    .strictObject({
      delay: durationSchema
        .optional()
        .meta({ description: 'Between failing readiness and taking no more connections. Default 0.' }),
      grace: durationSchema
        .optional()
        .meta({ description: 'For requests in flight to finish on shutdown. Default 10s.' }),
    })
    .optional(),
  trust: z
    .array(z.string().refine(isNetwork, 'must be an IP address or a CIDR block such as 10.0.0.0/8'))
    .optional()
    .meta({ description: 'Proxies whose Forwarded and X-Forwarded-* fields are believed. Default none.' }),
  limits: z
    .strictObject({
      headBytes: bytes
        .optional()
        .meta({ description: 'Request line and header fields together. Default 32kB.' }),
      fieldCount: z.int().min(1).optional().meta({ description: 'Header fields. Default 100.' }),
      targetBytes: bytes.optional().meta({ description: 'Path and query. Default 8kB.' }),
      bodyBytes: bytes.optional().meta({ description: 'Request body. Default: no limit.' }),
      headTimeout: durationSchema
        .optional()
        .meta({ description: 'From the first byte of a request head to its last. Default 10s.' }),
      idleTimeout: durationSchema
        .optional()
        .meta({ description: 'Silence in the middle of a body. Default 60s.' }),
      keepAliveTimeout: durationSchema
        .optional()
        .meta({ description: 'Silence between two requests. Default 75s.' }),
      connections: z.int().min(1).optional().meta({ description: 'Open client connections. Default 20000.' }),
    })
    .optional()
    .meta({ description: 'Bounds on what clients may ask.' }),
})

/** A configuration as it is written. */
export type ConfigInput = z.input<typeof configSchema>

/** What is wrong with a path pattern. */
function patternProblem(path: string): string | undefined {
  if (!path.startsWith('/')) return 'must begin with a slash'
  if (/[?#\s]/.test(path)) return 'must not have a query, a fragment or white space'
  const star = path.indexOf('*')
  if (star >= 0 && (star !== path.length - 1 || path[star - 1] !== '/'))
    return '`*` may only stand at the end, after a slash: `/prefix/*`'
  const names = path.split('/').filter((part) => part.startsWith(':'))
  const wrong = names.find((part) => !/^:[A-Za-z_]\w*$/.test(part))
  if (wrong) return `\`${wrong}\` is not a valid part: write \`:name\``
  const twice = names.find((part, index) => names.indexOf(part) !== index)
  return twice && `\`${twice}\` stands twice`
}

function isNetwork(text: string): boolean {
  const [ip = '', prefix, ...rest] = text.split('/')
  const family = isIP(ip)
  return (
    family !== 0 &&
    rest.length === 0 &&
    (prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128)))
  )
}
