import { metadataProblems } from './check-metadata.js'
import type { WriteOptions } from './api.js'
import type { ResourceDefinition } from './define.js'
import { badRequest, ResourceError, type ResourceProblem } from './error.js'
import type { Unwritten } from './lifecycle.js'
import { METADATA_FIELDS } from './metadata.js'
import type { Resource, ResourceDraft } from './object.js'
import type { Content } from './schema/content.js'
import { isObject } from './schema/is-object.js'

const FIELDS = ['apiVersion', 'kind', 'metadata', 'spec', 'status']

/**
 * A draft as the kind has it: a copy, without fields that the kind does not have.
 *
 * @throws `BANYAN_RESOURCE_BAD_REQUEST` if it is of another kind, is no JSON, or has such fields and they are not to be there
 */
export function readDraft(
  kind: ResourceDefinition,
  given: ResourceDraft,
  options: WriteOptions,
): ResourceDraft {
  const draft = copyOf(given)
  const { apiVersion = kind.apiVersion, kind: name = kind.kind, metadata } = draft
  if (apiVersion !== kind.apiVersion || name !== kind.kind)
    throw badRequest(
      `the object provided is a ${name} of ${apiVersion}, not a ${kind.kind} of ${kind.apiVersion}`,
    )
  if (!isObject(metadata)) throw badRequest('metadata must be an object')
  const content = contentOf(draft)
  const unknown = [
    ...takeOthers(draft, FIELDS, ''),
    ...takeOthers(metadata, METADATA_FIELDS, 'metadata.'),
    ...kind.schema.prune(content),
  ]
  report(unknown, options)
  return {
    apiVersion,
    kind: name,
    metadata,
    spec: content.spec,
    ...(content.status !== undefined && { status: content.status }),
  }
}

/**
 * A resource as it is stored: with its defaults, and nothing wrong in it.
 *
 * @param before - what it replaces
 * @throws `BANYAN_RESOURCE_INVALID` with everything that is wrong
 */
export function admit(kind: ResourceDefinition, object: Unwritten, before: Resource | undefined): Unwritten {
  const content: Content = {
    ...(object.spec !== undefined && { spec: cloned(object.spec) }),
    ...(object.status !== undefined && { status: cloned(object.status) }),
  }
  const problems = [
    ...metadataProblems(object.metadata, before?.metadata),
    ...kind.schema.check(content, before && contentOf(before)),
  ]
  if (problems.length > 0) throw invalid(kind, object.metadata.name, problems)
  return { ...object, ...content }
}

function contentOf({ spec, status }: Content): Content {
  return { ...(spec !== undefined && { spec }), ...(status !== undefined && { status }) }
}

function invalid(kind: ResourceDefinition, name: string, causes: readonly ResourceProblem[]): ResourceError {
  const list = causes.map(({ field, message }) => (field === '' ? message : `${field}: ${message}`))
  const text = list.length === 1 ? list[0]! : `[${list.join(', ')}]`
  return new ResourceError(
    'BANYAN_RESOURCE_INVALID',
    `${kind.kind}.${kind.group} ${JSON.stringify(name)} is invalid: ${text}`,
    { name, group: kind.group, kind: kind.plural, causes },
  )
}

/** For defaults to be filled in: what is there may be frozen. */
function cloned(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}

/** What is checked is what will be stored: a Date is text there. */
function copyOf(draft: ResourceDraft): ResourceDraft {
  try {
    const copy: unknown = JSON.parse(JSON.stringify(draft))
    if (isObject(copy)) return copy as unknown as ResourceDraft
  } catch (error) {
    throw badRequest(`the object is no JSON: ${String(error)}`)
  }
  throw badRequest('the object provided is no object')
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
