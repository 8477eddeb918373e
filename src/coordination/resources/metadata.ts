import { badRequest } from './error.js'
import type { ResourceDraft, ResourceMetadata } from './object.js'
import { isObject } from './schema/is-object.js'
import { METADATA_SCHEMA } from './schema/whole.js'

/** What a writer decides. */
export type OwnMetadata = Pick<
  ResourceMetadata,
  'generateName' | 'labels' | 'annotations' | 'finalizers' | 'ownerReferences' | 'managedFields'
>

const MAPS = ['labels', 'annotations'] as const
const LISTS = ['finalizers', 'ownerReferences', 'managedFields'] as const

/**
 * What of the metadata the writer decides; what is empty is left out, so that it makes no difference.
 *
 * @throws `BANYAN_RESOURCE_BAD_REQUEST` for what cannot be read as metadata
 */
export function ownMetadata({ metadata }: ResourceDraft): OwnMetadata {
  const own: Record<string, unknown> = {}
  if (metadata.generateName) own['generateName'] = metadata.generateName
  for (const name of MAPS) {
    const value: unknown = metadata[name] ?? {}
    if (!isObject(value)) throw badRequest(`metadata.${name} must be an object`)
    if (Object.keys(value).length > 0) own[name] = value
  }
  for (const name of LISTS) {
    const value: unknown = metadata[name] ?? []
    if (!Array.isArray(value)) throw badRequest(`metadata.${name} must be a list`)
    if (value.length > 0) own[name] = name === 'finalizers' ? [...new Set<unknown>(value)] : value
  }
  return own
}

/** The fields that metadata may have. */
export const METADATA_FIELDS: readonly string[] = Object.keys(METADATA_SCHEMA.properties)

const TEXTS = METADATA_FIELDS.filter(
  (name) => METADATA_SCHEMA.properties[name as keyof typeof METADATA_SCHEMA.properties].type === 'string',
)

/**
 * Sees to it that what should be text is text; null is nothing.
 *
 * @param metadata - is changed
 * @throws `BANYAN_RESOURCE_BAD_REQUEST`
 */
export function readTexts(metadata: Record<string, unknown>): void {
  for (const name of TEXTS) {
    const value = metadata[name] ?? undefined
    if (value === undefined) Reflect.deleteProperty(metadata, name)
    else if (typeof value !== 'string') throw badRequest(`metadata.${name} must be text`)
  }
}
