import { isFieldValue } from '../../../http/characters.js'
import { stringifyJson, textOf } from '../../filters/shaping/json.js'
import type { Template, TextTemplate } from '../../filters/shaping/template.js'
import type { Scope } from '../../filters/shaping/expression.js'
import { locate } from '../../router.js'
import type { PlannedBranch } from './plan.js'

/** A branch's request as its values make it. */
export interface BranchRequest {
  target: string
  fields: [string, string][]
  body: Buffer | undefined
}

/** Values that do not make a request: a part of a path that is missing, a header field with a line break. */
export class ShapeError extends Error {}

/** @throws {@link ShapeError} */
export function shapeRequest(
  { path, query, headers, body }: PlannedBranch,
  scope: Scope,
  forwarded: readonly [string, string][],
): BranchRequest {
  const fields: [string, string][] = [...forwarded, ...shapeFields(headers, scope)]
  const target = shapePath(path, scope) + shapeQuery(query, scope)
  if (!fields.some(([name]) => name.toLowerCase() === 'accept')) fields.push(['Accept', 'application/json'])
  if (!body) return { target, fields, body: undefined }
  if (!fields.some(([name]) => name.toLowerCase() === 'content-type'))
    fields.push(['Content-Type', 'application/json'])
  return { target, fields, body: Buffer.from(stringifyJson(body.evaluate(scope))) }
}

/** @throws {@link ShapeError} */
export function shapeFields(
  headers: readonly (readonly [string, Template])[],
  scope: Scope,
): [string, string][] {
  const fields: [string, string][] = []
  for (const [name, template] of headers) {
    const value = template.evaluate(scope)
    if (value === null) continue
    const text = textOf(value)
    if (!isFieldValue(text))
      throw new ShapeError(`the value of the header field \`${name}\` cannot stand there`)
    fields.push([name, text])
  }
  return fields
}

/** Nothing that a value holds may change which resource is meant: no slash, no dot segment, no empty part. */
function shapePath(template: TextTemplate, scope: Scope): string {
  const path = template.render(scope, (value) => {
    const text = typeof value === 'object' ? '' : textOf(value)
    if (text === '') throw new ShapeError('a value for the path is missing, or is no text')
    return encoded(text)
  })
  if (locate(path)?.path !== path) throw new ShapeError('a value for the path is a dot segment')
  return path
}

function encoded(text: string): string {
  try {
    return encodeURIComponent(text)
  } catch (error) {
    // Half of a surrogate pair.
    throw new ShapeError('a value for the path is no text', { cause: error })
  }
}

function shapeQuery(query: readonly (readonly [string, Template])[], scope: Scope): string {
  const parameters = new URLSearchParams()
  for (const [name, template] of query) {
    for (const value of [template.evaluate(scope)].flat()) {
      if (value === null || value === undefined) continue
      if (typeof value === 'object')
        throw new ShapeError(`the value of the query parameter \`${name}\` has parts`)
      parameters.append(name, textOf(value))
    }
  }
  const text = parameters.toString()
  return text === '' ? '' : `?${text}`
}
