import { createHash } from 'node:crypto'
import type { Fields } from '../../../http/fields.js'
import type { Forwarding } from '../../forwarding.js'

/**
 * Marks the entity tags of changed answers: the service's tag, and a hash of how the answer is changed. They are as
 * strong as the service's own; the service gets its tags back; and a tag from before the change was another matches
 * nothing.
 */
export class TagMark {
  readonly #suffix: string

  /** @param change - everything that decides how answers are changed */
  constructor(change: unknown) {
    const hash = createHash('sha256').update(JSON.stringify(change)).digest('hex')
    this.#suffix = `-${hash.slice(0, 8)}"`
  }

  /** Marks the tag of an answer. */
  put(fields: Fields): void {
    const tag = fields.get('etag')
    if (tag === undefined || !/^(?:W\/)?"[^"]*"$/.test(tag)) return
    fields.delete('etag')
    fields.append('ETag', tag.slice(0, -1) + this.#suffix)
  }

  /** Takes the marks from the tags of a request's conditions. */
  takeFrom(forwarding: Forwarding): void {
    for (const name of ['If-None-Match', 'If-Match']) {
      const given = forwarding.request.fields.get(name.toLowerCase())
      if (given?.includes(this.#suffix) === true)
        forwarding.setField(name, given.replaceAll(this.#suffix, '"'))
    }
  }
}
