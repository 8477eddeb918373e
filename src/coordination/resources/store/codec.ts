import type { Entry } from '../../coordinator.js'
import { coordinationError } from '../../errors.js'
import { MAX_VALUE_BYTES } from '../../keys.js'
import { ResourceError } from '../error.js'
import { frozen } from '../frozen.js'
import type { Unwritten } from '../lifecycle.js'
import type { Resource } from '../object.js'
import { isObject } from '../schema/is-object.js'
import { without } from '../without.js'

export { frozen }

/**
 * A resource as it is stored: all but its version, which is the revision of its key.
 *
 * @throws `BANYAN_RESOURCE_TOO_LARGE`
 */
export function encode(resource: Unwritten): string {
  const metadata = without(resource.metadata, 'resourceVersion')
  const value = JSON.stringify({ ...resource, metadata })
  const size = value.length * 3 > MAX_VALUE_BYTES ? Buffer.byteLength(value) : 0
  if (size > MAX_VALUE_BYTES)
    throw new ResourceError(
      'BANYAN_RESOURCE_TOO_LARGE',
      `the ${resource.kind} ${metadata.name} has ${size} bytes, at most ${MAX_VALUE_BYTES} are kept; keep large things elsewhere and their place here`,
    )
  return value
}

/** @throws `BANYAN_COORDINATOR_CORRUPT` if it is no resource */
export function decode({ key, value, revision }: Pick<Entry, 'key' | 'value' | 'revision'>): Resource {
  try {
    const stored: unknown = JSON.parse(value)
    if (isObject(stored) && isObject(stored['metadata'])) {
      // Nobody else has it yet; copies with one property more take half as much memory again.
      stored['metadata']['resourceVersion'] = String(revision)
      return frozen(stored as unknown as Resource)
    }
  } catch (error) {
    throw corrupt(key, error)
  }
  throw corrupt(key)
}

/** The same, of another version. */
export function versioned(resource: Resource, revision: number): Resource {
  return { ...resource, metadata: { ...resource.metadata, resourceVersion: String(revision) } }
}

function corrupt(key: string, cause?: unknown): Error {
  return coordinationError('BANYAN_COORDINATOR_CORRUPT', `what ${key} has is no resource`, cause)
}
