/** How many of the last events are kept, and how many bytes of them. */
const MOST_EVENTS = 1024
const MOST_BYTES = 16 * 1024 * 1024

/**
 * What watches are told of resources, as bytes: made once for all who watch. Those of the last events are kept, as who is told of
 * one is told about when the others are; who is later has them made anew.
 */
export class EncodedEvents {
  readonly #lines = new Map<object, { readonly type: string; readonly line: Buffer }>()
  #bytes = 0

  /** @param object - is not changed any more */
  line(type: string, object: object): Buffer {
    const known = this.#lines.get(object)
    if (known?.type === type) return known.line
    const line = eventLine(type, object)
    // One that was ADDED for some is MODIFIED for others: the latest is kept.
    if (known) this.#bytes -= known.line.length
    this.#lines.delete(object)
    this.#lines.set(object, { type, line })
    this.#bytes += line.length
    this.#trim()
    return line
  }

  #trim(): void {
    for (const [object, { line }] of this.#lines) {
      if (this.#lines.size <= MOST_EVENTS && this.#bytes <= MOST_BYTES) return
      this.#lines.delete(object)
      this.#bytes -= line.length
    }
  }
}

/** An event of a watch. */
export function eventLine(type: string, object: object): Buffer {
  return Buffer.from(`{"type":"${type}","object":${JSON.stringify(object)}}\n`)
}
