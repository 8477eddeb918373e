import { isFieldValue } from '../../../http/characters.js'
import type { Forwarding } from '../../forwarding.js'
import { refusal, type Refusal } from '../../refusal.js'
import type { Scope } from '../shaping/expression.js'
import { stringifyJson, textOf } from '../shaping/json.js'
import type { FieldChanges, RequestPlan } from './plan.js'

/** Fields that tell of the bytes of a body, and are wrong about another one. */
export const ABOUT_BYTES = [
  'content-encoding',
  'content-md5',
  'digest',
  'content-digest',
  'repr-digest',
] as const

/**
 * Changes a request.
 *
 * @param hasJson - whether it has a body that was read
 * @throws `Refusal` 400 if its values make no request
 */
export function changeRequest(
  plan: RequestPlan,
  forwarding: Forwarding,
  scope: Scope,
  hasJson: boolean,
): void {
  const { query, headers, body } = plan
  if (query.length > 0) forwarding.target = changeQuery(forwarding.target, query, scope)
  for (const [name, template] of headers) {
    const value = template?.evaluate(scope) ?? null
    if (value === null) forwarding.removeField(name)
    else forwarding.setField(name, fieldValue(value, name))
  }
  if (!body || !hasJson) return
  forwarding.replaceBody(Buffer.from(stringifyJson(body.evaluate(scope))))
  for (const name of ABOUT_BYTES) forwarding.removeField(name)
}

/** Takes the named parameters out and puts theirs at the end; the others stay as they are written. */
function changeQuery(target: string, changes: FieldChanges, scope: Scope): string {
  const mark = target.indexOf('?')
  const path = mark < 0 ? target : target.slice(0, mark)
  const names = new Set(changes.map(([name]) => name))
  const kept =
    mark < 0
      ? []
      : target
          .slice(mark + 1)
          .split('&')
          .filter((pair) => pair !== '' && !names.has(nameOf(pair)))
  const put = new URLSearchParams()
  for (const [name, template] of changes) {
    for (const value of [template?.evaluate(scope) ?? null].flat()) {
      if (value === null) continue
      if (typeof value === 'object') throw unfit(`The value for the query parameter \`${name}\` has parts.`)
      put.append(name, textOf(value))
    }
  }
  const query = [...kept, ...(put.size > 0 ? [put.toString()] : [])].join('&')
  return query === '' ? path : `${path}?${query}`
}

function nameOf(pair: string): string {
  return new URLSearchParams(pair).keys().next().value ?? ''
}

function fieldValue(value: unknown, name: string): string {
  const text = textOf(value)
  if (!isFieldValue(text)) throw unfit(`The value for the header field \`${name}\` cannot stand there.`)
  return text
}

function unfit(detail: string): Refusal {
  return refusal({ status: 400, kind: 'request-unfit', detail })
}
