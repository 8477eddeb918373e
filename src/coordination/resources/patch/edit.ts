import type { ResourcePatch } from '../api.js'
import { invalidPatch } from '../error.js'
import { applyJsonPatch } from './json-patch.js'
import { isObject, type Json, type JsonObject } from './json.js'
import { applyMergePatch } from './merge-patch.js'

/** A patch that says what to change, not how something should be. */
export type Edit = Exclude<ResourcePatch, { readonly type: 'apply' }>

/**
 * What a patch makes of an object.
 *
 * @throws `BANYAN_PATCH_INVALID`, `BANYAN_PATCH_REFUSED`
 */
export function edited(object: JsonObject, edit: Edit): JsonObject {
  const patch = edit.patch as unknown as Json
  const result = edit.type === 'merge' ? applyMergePatch(object, patch) : applyJsonPatch(object, patch)
  if (!isObject(result)) throw invalidPatch('the patch leaves no object')
  return result
}
