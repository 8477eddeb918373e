import { addDecimals, decimalOf, showDecimal, type Decimal } from './decimal.js'

/**
 * Adds up what databases have summed or counted; null if there was nothing but null. Whole numbers and decimals are exact, and
 * come back in the form in which they came; floating numbers are added with compensation (Neumaier 1974), as their sum depends on the order.
 */
export class Sum {
  #exact: Decimal | undefined
  #floating = 0
  #compensation = 0
  #isFloating = false
  #form: 'number' | 'bigint' | 'string' | undefined

  add(value: unknown): void {
    if (value === null || value === undefined) return
    const form = typeof value
    if (form !== 'number' && form !== 'bigint' && form !== 'string')
      throw new TypeError(`${JSON.stringify(value)} cannot be added up`)
    // The databases of SQLite say each by itself what their sum is: exact forms give way to those that are not.
    if (this.#form !== 'string') this.#form = form === 'bigint' && this.#form === 'number' ? 'number' : form
    if (form === 'number' && !Number.isInteger(value)) this.#addFloating(value as number)
    else {
      const exact = decimalOf(form === 'number' ? BigInt(value as number) : value)
      this.#exact = this.#exact ? addDecimals(this.#exact, exact) : exact
    }
  }

  get value(): number | bigint | string | null {
    switch (this.#form) {
      case undefined:
        return null
      case 'number':
        return this.number
      case 'bigint':
        return this.#exact?.units ?? 0n
      case 'string':
        return this.#isFloating ? String(this.number) : showDecimal(this.#exact ?? decimalOf(0n))
    }
  }

  get number(): number {
    const exact = this.#exact ? Number(showDecimal(this.#exact)) : 0
    return this.#isFloating ? exact + (this.#floating + this.#compensation) : exact
  }

  #addFloating(value: number): void {
    this.#isFloating = true
    const total = this.#floating + value
    if (Number.isFinite(total))
      this.#compensation +=
        Math.abs(this.#floating) >= Math.abs(value)
          ? this.#floating - total + value
          : value - total + this.#floating
    this.#floating = total
  }
}
