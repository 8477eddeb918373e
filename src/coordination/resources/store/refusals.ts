import { hasCode } from '../../errors.js'
import { invalid } from '../admission.js'
import { qualifiedPlural, type ResourceDefinition } from '../define.js'
import { badRequest, ResourceError, type ResourceErrorDetails } from '../error.js'
import type { ResourceLocation } from '../location.js'
import type { Resource, ResourceDraft } from '../object.js'

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

/** @throws `BANYAN_RESOURCE_CONFLICT` if a draft is of another resource of that name, or of another version of it */
export function checkVersion(kind: ResourceDefinition, current: Resource, { metadata }: ResourceDraft): void {
  const { uid, resourceVersion } = current.metadata
  checkSame(kind, current, 'UID', metadata.uid, uid)
  if ((metadata.resourceVersion ?? resourceVersion) !== resourceVersion)
    throw conflict(kind, current.metadata.name)
}

/** What replaces something must say which version it is made from. */
export function versionless({ group, plural }: ResourceDefinition, name: string): ResourceError {
  const message = 'Invalid value: 0x0: must be specified for an update'
  const causes = [{ reason: 'FieldValueInvalid', field: 'metadata.resourceVersion', message }] as const
  return invalid({ group, kind: plural }, name, causes)
}

/** @throws `BANYAN_RESOURCE_BAD_REQUEST` if a draft is of another name than it is sent to */
export function checkNamed(
  kind: ResourceDefinition,
  location: ResourceLocation,
  { metadata }: ResourceDraft,
): void {
  for (const part of ['name', 'namespace'] as const)
    if ((metadata[part] ?? location[part]) !== location[part])
      throw badRequest(
        `the ${part} of the ${kind.kind}, ${JSON.stringify(metadata[part])}, is not that it is sent to, ${JSON.stringify(location[part])}`,
      )
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
