import { invalid } from './admission.js'
import type { WriteOptions } from './api.js'
import type { ResourceDefinition } from './define.js'
import { badRequest, type ResourceError } from './error.js'
import { METADATA_FIELDS, readTexts } from './metadata.js'
import type { Resource, ResourceDraft } from './object.js'
import { isTooDeep, MOST_LEVELS } from './patch/json.js'
import { contentOf } from './schema/content.js'
import { isObject } from './schema/is-object.js'

/** The book of who has which fields is as deep as the fields are, and stands deeper; it has to fit, too. */
const BOOK_LEVELS = 10
const FIELDS = ['apiVersion', 'kind', 'metadata', 'spec', 'status']

/** A draft as its kind has it, and which fields it had besides. */
interface ReadDraft {
  readonly draft: ResourceDraft
  readonly unknown: readonly string[]
}

/** {@link parseDraft}. @throws `BANYAN_RESOURCE_BAD_REQUEST` if it has fields that the kind does not have, and they are not to be there */
export function readDraft(
  kind: ResourceDefinition,
  given: object,
  options: WriteOptions,
  before?: Resource,
): ResourceDraft {
  const { draft, unknown } = parseDraft(kind, given)
  reportUnknown(kind, unknown, options, before)
  return draft
}

/**
 * A draft as the kind has it: a copy, without fields that the kind does not have.
 *
 * @throws `BANYAN_RESOURCE_BAD_REQUEST` if it is of another version, is no JSON, or has metadata that cannot be read;
 *   `BANYAN_RESOURCE_INVALID` if it is of another kind
 */
export function parseDraft(kind: ResourceDefinition, given: object): ReadDraft {
  const draft = copyOf(given, 'the object') as ResourceDraft
  const { apiVersion = kind.apiVersion, kind: name = kind.kind, metadata } = draft
  if (apiVersion !== kind.apiVersion)
    throw badRequest(
      `the API version in the data (${apiVersion}) does not match the expected API version (${kind.apiVersion})`,
    )
  if (!isObject(metadata)) throw badRequest('metadata must be an object')
  readTexts(metadata)
  if (name !== kind.kind) throw ofAnotherKind(kind, draft)
  const content = contentOf(draft)
  if (isTooDeep(content, MOST_LEVELS - BOOK_LEVELS))
    throw badRequest(`the object has more than ${MOST_LEVELS - BOOK_LEVELS} levels`)
  const unknown = [
    ...takeOthers(draft, FIELDS, ''),
    ...takeOthers(metadata, METADATA_FIELDS, 'metadata.'),
    ...kind.schema.prune(content),
  ]
  return { draft: { apiVersion, kind: name, metadata, ...content } as ResourceDraft, unknown }
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
  const copy = copied(resource)
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
  let text: string
  let copy: unknown
  try {
    text = JSON.stringify(given)
    copy = JSON.parse(text)
  } catch (error) {
    throw badRequest(`${what} is no JSON: ${String(error)}`)
  }
  if (typeof copy !== 'object' || copy === null) throw badRequest(`${what} is no JSON object`)
  if (isTooDeep(copy)) throw badRequest(`${what} has more than ${MOST_LEVELS} levels`)
  // Such a number would be null without a word.
  if (text.includes('null') && hasNoNumber(given))
    throw badRequest(`${what} is no JSON: it has a number that is none, or too large`)
  return copy
}

/** Whether there is NaN in it, or something infinite, as what is read of `1e400` is. */
function hasNoNumber(value: unknown): boolean {
  if (typeof value === 'number') return !Number.isFinite(value)
  return typeof value === 'object' && value !== null && Object.values(value).some(hasNoNumber)
}

function takeOthers(object: object, known: readonly string[], prefix: string): string[] {
  const others = Object.keys(object).filter((name) => !known.includes(name))
  for (const name of others) Reflect.deleteProperty(object, name)
  return others.map((name) => prefix + name)
}

/**
 * Says which fields were left out.
 *
 * @param before - what the draft was made from: what that has, the writer has only read, and is not told of
 * @throws `BANYAN_RESOURCE_BAD_REQUEST` if they are not to be there
 */
export function reportUnknown(
  kind: ResourceDefinition,
  fields: readonly string[],
  { fieldValidation = 'Strict', onWarning }: WriteOptions,
  before?: Resource,
): void {
  if (fields.length === 0 || fieldValidation === 'Ignore') return
  const old = before ? kind.schema.prune(contentOf(copied(before))) : []
  const unknown = fields.filter((field) => !old.includes(field))
  if (fieldValidation === 'Warn') {
    for (const field of unknown) onWarning?.(`unknown field ${JSON.stringify(field)}`)
  } else if (unknown.length > 0) {
    const all = unknown.map((field) => `unknown field ${JSON.stringify(field)}`)
    throw badRequest(`strict decoding error: ${all.join(', ')}`)
  }
}

function copied(resource: Resource): Resource {
  return JSON.parse(JSON.stringify(resource)) as Resource
}
