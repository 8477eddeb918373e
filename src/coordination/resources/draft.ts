import { invalid } from './admission.js'
import type { WriteOptions } from './api.js'
import type { ResourceDefinition } from './define.js'
import { badRequest, type ResourceError } from './error.js'
import { METADATA_FIELDS } from './metadata.js'
import type { Resource, ResourceDraft } from './object.js'
import { isTooDeep, MOST_LEVELS } from './patch/json.js'
import { contentOf } from './schema/content.js'
import { isObject } from './schema/is-object.js'

/** The book of who has which fields is as deep as the fields are, and stands deeper; it has to fit, too. */
const BOOK_LEVELS = 10
const FIELDS = ['apiVersion', 'kind', 'metadata', 'spec', 'status']

/**
 * A draft as the kind has it: a copy, without fields that the kind does not have.
 *
 * @throws `BANYAN_RESOURCE_BAD_REQUEST` if it is of another version, is no JSON, or has such fields and they are not to be there;
 *   `BANYAN_RESOURCE_INVALID` if it is of another kind
 */
export function readDraft(kind: ResourceDefinition, given: object, options: WriteOptions): ResourceDraft {
  const draft = copyOf(given, 'the object') as ResourceDraft
  const { apiVersion = kind.apiVersion, kind: name = kind.kind, metadata } = draft
  if (apiVersion !== kind.apiVersion)
    throw badRequest(
      `the API version in the data (${apiVersion}) does not match the expected API version (${kind.apiVersion})`,
    )
  if (!isObject(metadata)) throw badRequest('metadata must be an object')
  if (name !== kind.kind) throw ofAnotherKind(kind, draft)
  const content = contentOf(draft)
  if (isTooDeep(content, MOST_LEVELS - BOOK_LEVELS))
    throw badRequest(`the object has more than ${MOST_LEVELS - BOOK_LEVELS} levels`)
  const unknown = [
    ...takeOthers(draft, FIELDS, ''),
    ...takeOthers(metadata, METADATA_FIELDS, 'metadata.'),
    ...kind.schema.prune(content),
  ]
  report(unknown, options)
  return { apiVersion, kind: name, metadata, ...content } as ResourceDraft
}

function ofAnotherKind({ group, kind }: ResourceDefinition, draft: ResourceDraft): ResourceError {
  const given = String(draft.kind)
  const message = `Invalid value: ${JSON.stringify(given)}: must be ${kind}`
  return invalid({ group, kind: given }, draft.metadata.name ?? '', [
    { reason: 'FieldValueInvalid', field: 'kind', message },
  ])
}

/** The same without what the kind does not have, or not any more. It is a copy. */
export function pruned(kind: ResourceDefinition, resource: Resource): Resource {
  const copy = JSON.parse(JSON.stringify(resource)) as Resource
  kind.schema.prune(contentOf(copy))
  return copy
}

/**
 * What will be stored of something: a Date is text there.
 *
 * @param what - for the message
 * @throws `BANYAN_RESOURCE_BAD_REQUEST` if it is no object or list of JSON, or is too deep
 */
export function copyOf(given: object, what: string): object {
  let copy: unknown
  try {
    copy = JSON.parse(JSON.stringify(given))
  } catch (error) {
    throw badRequest(`${what} is no JSON: ${String(error)}`)
  }
  if (typeof copy !== 'object' || copy === null) throw badRequest(`${what} is no JSON object`)
  if (isTooDeep(copy)) throw badRequest(`${what} has more than ${MOST_LEVELS} levels`)
  return copy
}

function takeOthers(object: object, known: readonly string[], prefix: string): string[] {
  const others = Object.keys(object).filter((name) => !known.includes(name))
  for (const name of others) Reflect.deleteProperty(object, name)
  return others.map((name) => prefix + name)
}

function report(unknown: readonly string[], { fieldValidation = 'Strict', onWarning }: WriteOptions): void {
  if (unknown.length === 0 || fieldValidation === 'Ignore') return
  if (fieldValidation === 'Warn') {
    for (const field of unknown) onWarning?.(`unknown field ${JSON.stringify(field)}`)
    return
  }
  const fields = unknown.map((field) => `unknown field ${JSON.stringify(field)}`)
  throw badRequest(`strict decoding error: ${fields.join(', ')}`)
}
