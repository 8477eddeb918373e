import { z } from 'zod'
import { isToken } from '../../../traffic/http/characters.js'
import { durationSchema } from '../options-schema.js'
import { access, cors, csrf } from './access.js'
import { aggregate } from './aggregate.js'
import { openapi } from './openapi.js'
import { openapiDocument } from './openapi-document.js'
import { transform } from './transform.js'
import { cache } from './cache.js'
import { compress } from './compress.js'
import { eventsOfRoute } from './events.js'
import { fencing } from './fencing.js'
import { files } from './files.js'
import { headerEdits } from './header-edits.js'
import { maintenance } from './maintenance.js'
import { mirror } from './mirror.js'
import { respond } from './respond.js'
import { atLeastOne, name, oneOrMore, weight } from './parts.js'
import { quotaOfRoute } from './quota.js'

const HOST = /^[A-Za-z0-9.-]+(:\d{1,5})?$/

/** `routes.<name>`. */
export const route = z.strictObject({
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
    .optional()
    .meta({ description: 'The service, or services with their weights.' }),
  redirect: z
    .strictObject({
      scheme: z.enum(['http', 'https']).optional().meta({ description: 'Default: as the client came.' }),
      host: z.string().regex(HOST, 'must be a host, with a port or without').optional(),
      path: z
        .string()
        .regex(/^\//, 'must begin with a slash')
        .optional()
        .meta({ description: 'Replaces the matched prefix, or the whole path; may use `:name` parts.' }),
      status: z.literal([301, 302, 303, 307, 308]).optional().meta({ description: 'Default 308.' }),
    })
    .optional()
    .meta({ description: 'Instead of `to`: sends clients somewhere else.' }),
  aggregate: aggregate.optional().meta({ description: 'Instead of `to`: answers from several services.' }),
  files: files.optional(),
  respond: respond.optional(),
  events: eventsOfRoute.optional(),
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
  access: access.optional().meta({ description: 'Who may pass. Default: everybody.' }),
  cors: cors.optional().meta({ description: 'Which pages of other origins may read the answers.' }),
  csrf: csrf.optional().meta({
    description: 'Whether requests that pages of other origins cause are refused; see docs/traffic/cors.md.',
  }),
  quota: quotaOfRoute
    .optional()
    .meta({ description: 'Quotas by name, or of this route alone; one or a list.' }),
  fencing: fencing.optional(),
  openapi: openapi.optional(),
  openapiDocument: openapiDocument
    .optional()
    .meta({ description: 'Instead of `to`: answers with one OpenAPI document of all routes.' }),
  transform: transform.optional().meta({ description: 'Changes requests and answers by their values.' }),
  requestId: z
    .union([
      z.literal(true),
      z.strictObject({
        header: z.string().refine(isToken, 'is not a valid header name').optional().meta({
          description: 'The field that carries it. Default X-Request-Id.',
        }),
        keep: z
          .boolean()
          .optional()
          .meta({ description: 'Whether an id that the client sends is kept. Default false.' }),
      }),
    ])
    .optional()
    .meta({ description: 'Gives every request an id, told to the service and the client.' }),
  compress: compress.optional(),
  cache: cache.optional(),
  maintenance: maintenance.optional(),
  mirror: mirror.optional(),
  idempotent: z.boolean().optional().meta({
    description:
      'Whether making a request twice does no harm, so that it may be retried. Default: by its method, or an Idempotency-Key.',
  }),
  idleTimeout: durationSchema.optional().meta({
    description: 'Longest silence of an endpoint while it owes bytes. Default: what its service says.',
  }),
  upgrade: z
    .boolean()
    .optional()
    .meta({ description: 'Whether WebSocket and other switches of protocol pass. Default true.' }),
})

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
