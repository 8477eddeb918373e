import { isObject, member, type Json, type JsonObject } from './json.js'

/**
 * Applies a JSON merge patch (RFC 7386, now RFC 7396): a member that is null is removed, objects are merged, and
 * anything else replaces what was there, lists as a whole.
 *
 * @param target - what is changed; it stays as it is
 * @param patch - what shall be different
 */
export function applyMergePatch(target: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return patch
  const before: JsonObject = isObject(target) ? target : {}
  const after = new Map(Object.entries(before))
  for (const [name, change] of Object.entries(patch)) {
    if (change === null) after.delete(name)
    else after.set(name, applyMergePatch(member(before, name), change))
  }
  return Object.fromEntries(after)
}
