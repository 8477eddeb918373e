import type { ResourceProblem } from './error.js'
import { labelMistake, labelValueMistake, qualifiedNameMistake, subdomainMistake } from './names.js'
import type { OwnerReference, ResourceMetadata } from './object.js'
import { isObject } from './schema/is-object.js'

/** The most that keys and values of annotations may have together, in bytes of UTF-8. */
const MOST_ANNOTATIONS = 256 * 1024

const NAMELESS: ResourceProblem = {
  reason: 'FieldValueRequired',
  field: 'metadata.name',
  message: 'Required value: name or generateName is required',
}

/** Everything that is wrong with the metadata of a resource. */
export function metadataProblems(
  metadata: ResourceMetadata,
  before: ResourceMetadata | undefined,
): ResourceProblem[] {
  const { name, namespace, labels = {}, annotations = {}, finalizers = [], ownerReferences = [] } = metadata
  return [
    ...(name === '' ? [NAMELESS] : invalid('metadata.name', name, subdomainMistake(name))),
    ...(namespace === undefined ? [] : invalid('metadata.namespace', namespace, labelMistake(namespace))),
    ...Object.entries(labels).flatMap(([key, value]) => [
      ...invalid('metadata.labels', key, qualifiedNameMistake(key)),
      ...invalid(`metadata.labels.${key}`, value, labelValueMistake(value)),
    ]),
    ...annotationProblems(annotations),
    ...finalizers.flatMap((each) => invalid('metadata.finalizers', each, qualifiedNameMistake(each))),
    ...lateFinalizers(finalizers, before),
    ...ownerReferences.flatMap(ownerProblems),
    ...controllers(ownerReferences),
  ]
}

function annotationProblems(annotations: Readonly<Record<string, string>>): ResourceProblem[] {
  let size = 0
  const problems = Object.entries(annotations).flatMap(([key, value]) => {
    size += Buffer.byteLength(key) + Buffer.byteLength(typeof value === 'string' ? value : '')
    return [
      // As in Kubernetes, their keys may have capitals in the domain.
      ...invalid('metadata.annotations', key, qualifiedNameMistake(key.toLowerCase())),
      ...invalid(
        `metadata.annotations.${key}`,
        value,
        typeof value === 'string' ? undefined : 'must be text',
      ),
    ]
  })
  if (size > MOST_ANNOTATIONS)
    problems.push({
      reason: 'FieldValueTooLong',
      field: 'metadata.annotations',
      message: `Too long: must have at most ${MOST_ANNOTATIONS} bytes`,
    })
  return problems
}

/** Who has begun to clean up must know that nobody comes after it. */
function lateFinalizers(
  finalizers: readonly string[],
  before: ResourceMetadata | undefined,
): ResourceProblem[] {
  if (before?.deletionTimestamp === undefined) return []
  const added = finalizers.filter((each) => !(before.finalizers ?? []).includes(each))
  if (added.length === 0) return []
  const message = `Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers ${JSON.stringify(added)}`
  return [{ reason: 'FieldValueForbidden', field: 'metadata.finalizers', message }]
}

function ownerProblems(owner: unknown, index: number): ResourceProblem[] {
  const field = `metadata.ownerReferences[${index}]`
  if (!isObject(owner)) return [ofWrongType(field, 'an object')]
  return [
    ...['apiVersion', 'kind', 'name', 'uid']
      .filter((name) => typeof owner[name] !== 'string' || owner[name] === '')
      .map((name) => ({
        reason: 'FieldValueRequired' as const,
        field: `${field}.${name}`,
        message: 'Required value',
      })),
    ...['controller', 'blockOwnerDeletion']
      .filter((name) => typeof (owner[name] ?? false) !== 'boolean')
      .map((name) => ofWrongType(`${field}.${name}`, 'true or false')),
  ]
}

function ofWrongType(field: string, wanted: string): ResourceProblem {
  return { reason: 'FieldValueTypeInvalid', field, message: `Invalid value: must be ${wanted}` }
}

function controllers(owners: readonly OwnerReference[]): ResourceProblem[] {
  if (owners.filter((owner: OwnerReference | null) => owner?.controller === true).length < 2) return []
  const message = 'Invalid value: only one reference can have controller set to true'
  return [{ reason: 'FieldValueInvalid', field: 'metadata.ownerReferences', message }]
}

function invalid(field: string, value: unknown, mistake: string | undefined): ResourceProblem[] {
  if (mistake === undefined) return []
  return [
    { reason: 'FieldValueInvalid', field, message: `Invalid value: ${JSON.stringify(value)}: ${mistake}` },
  ]
}
