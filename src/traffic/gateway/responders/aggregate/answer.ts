import { BanyanError } from '../../../../core/errors.js'
import { Fields } from '../../../http/fields.js'
import type { RequestHead } from '../../../http/message.js'
import { UpstreamAnswer } from '../../answer.js'
import { stringifyJson } from '../../filters/shaping/json.js'
import { refusal } from '../../refusal.js'
import { isUnchanged } from '../../semantics/conditions.js'
import type { BranchValue } from './branch.js'
import { entityTag, strictest } from './caching.js'
import type { Gathered } from './gathered.js'
import type { Plan } from './plan.js'
import { shapeFields, ShapeError } from './request.js'
import type { AggregateSpec } from './spec.js'

/** The field that names the optional branches which an answer goes without. */
export const PARTIAL_FIELD = 'Banyan-Partial'

/**
 * One answer of what all branches have brought.
 *
 * @param vary - names of the request's fields that it depends on
 * @throws `Refusal` 502 if it cannot be shaped
 */
export function mergedAnswer(
  spec: AggregateSpec,
  plan: Plan,
  gathered: Gathered,
  { method, fields: asked }: RequestHead,
  vary: string,
): UpstreamAnswer {
  const { status, body, own } = shape(spec, plan, gathered)
  const fields = Fields.of([['Content-Type', 'application/json']])
  const isRead = method === 'GET' || method === 'HEAD'
  const cacheControl = isRead && gathered.missing.size === 0 ? strictest(gathered.answers) : 'no-store'
  if (cacheControl !== undefined) fields.append('Cache-Control', cacheControl)
  if (vary !== '') fields.append('Vary', vary)
  if (gathered.missing.size > 0) fields.append(PARTIAL_FIELD, [...gathered.missing].sort().join(', '))
  const etag = entityTag(body)
  if (isRead && status === 200) fields.append('ETag', etag)
  for (const [name] of own) fields.delete(name.toLowerCase())
  for (const [name, value] of own) fields.append(name, value)
  if (isRead && status === 200 && isUnchanged(asked, { etag: fields.get('etag'), lastModified: undefined })) {
    fields.delete('content-type')
    return UpstreamAnswer.of(304, fields, Buffer.alloc(0))
  }
  return UpstreamAnswer.of(status, fields, status === 204 ? Buffer.alloc(0) : body)
}

function shape(
  spec: AggregateSpec,
  plan: Plan,
  { scope }: Gathered,
): { status: number; body: Buffer; own: [string, string][] } {
  try {
    const status = plan.status === undefined ? 200 : Number(plan.status.evaluate(scope))
    if (!Number.isInteger(status) || status < 200 || status > 599)
      throw new ShapeError('`answer.status` is no status from 200 to 599')
    const value = plan.body ? plan.body.evaluate(scope) : merge(spec, scope)
    return { status, body: Buffer.from(stringifyJson(value)), own: shapeFields(plan.headers, scope) }
  } catch (error) {
    if (error instanceof BanyanError) throw error
    throw refusal({
      status: 502,
      kind: 'shaping-failed',
      detail: 'The parts of the answer do not fit together.',
      cause: error,
    })
  }
}

function merge({ branches, merge = 'branches' }: AggregateSpec, scope: Gathered['scope']): unknown {
  const bodies = Object.keys(branches).map((name) => [name, (scope[name] as BranchValue).body] as const)
  if (merge === 'branches') return Object.fromEntries(bodies)
  const members = bodies.flatMap(([name, body]) => {
    if (body === null) return []
    if (typeof body !== 'object' || Array.isArray(body))
      throw new ShapeError(`the body of \`${name}\` is no object`)
    return Object.entries(body)
  })
  return Object.fromEntries(members)
}
