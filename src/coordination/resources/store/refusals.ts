import { hasCode } from '../../errors.js'
import { qualifiedPlural, type ResourceDefinition } from '../define.js'
import { ResourceError, type ResourceErrorDetails } from '../error.js'
import type { Resource } from '../object.js'

export function notFound(kind: ResourceDefinition, name: string): ResourceError {
  return new ResourceError('BANYAN_RESOURCE_NOT_FOUND', `${title(kind, name)} not found`, details(kind, name))
}

export function exists(kind: ResourceDefinition, name: string): ResourceError {
  return new ResourceError(
    'BANYAN_RESOURCE_EXISTS',
    `${title(kind, name)} already exists`,
    details(kind, name),
  )
}

/** @param why - default: that it was changed in the meantime */
export function conflict(
  kind: ResourceDefinition,
  name: string,
  why = 'the object has been modified; please apply your changes to the latest version and try again',
): ResourceError {
  const message = `Operation cannot be fulfilled on ${title(kind, name)}: ${why}`
  return new ResourceError('BANYAN_RESOURCE_CONFLICT', message, details(kind, name))
}

/** @throws `BANYAN_RESOURCE_CONFLICT` if something is not what a precondition says */
export function checkSame(
  kind: ResourceDefinition,
  { metadata }: Resource,
  what: 'UID' | 'ResourceVersion',
  wanted: string | undefined,
  actual: string,
): void {
  if (wanted === undefined || wanted === actual) return
  const why = `Precondition failed: ${what} in precondition: ${wanted}, ${what} in object meta: ${actual}`
  throw conflict(kind, metadata.name, why)
}

/** Whether an error says that a resource is not there any more, or not as it was. */
export function isOutdated(error: unknown): boolean {
  return hasCode(error, 'BANYAN_RESOURCE_NOT_FOUND') || hasCode(error, 'BANYAN_RESOURCE_CONFLICT')
}

function title(kind: ResourceDefinition, name: string): string {
  return `${qualifiedPlural(kind)} ${JSON.stringify(name)}`
}

function details({ group, plural }: ResourceDefinition, name: string): ResourceErrorDetails {
  return { name, group, kind: plural }
}
