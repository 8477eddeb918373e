import type { Attributes } from '../../core/telemetry.js'

/** What is kept for each set of attributes of one name. */
export class SeriesTable<Value> {
  readonly #rows = new Map<string, { attributes: Attributes; value: Value }>()

  /** The value for those attributes, made on first use. */
  get(attributes: Attributes, make: () => Value): Value {
    const key = keyOf(attributes)
    let row = this.#rows.get(key)
    if (!row) {
      row = { attributes, value: make() }
      this.#rows.set(key, row)
    }
    return row.value
  }

  /**
   * Sets the value for those attributes.
   *
   * @returns takes it away again, unless another has taken its place
   */
  put(attributes: Attributes, value: Value): () => void {
    const key = keyOf(attributes)
    const row = { attributes, value }
    this.#rows.set(key, row)
    return () => {
      if (this.#rows.get(key) === row) this.#rows.delete(key)
    }
  }

  each(visit: (value: Value, attributes: Attributes) => void): void {
    for (const { value, attributes } of this.#rows.values()) visit(value, attributes)
  }
}

function keyOf(attributes: Attributes): string {
  return JSON.stringify(Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1)))
}
