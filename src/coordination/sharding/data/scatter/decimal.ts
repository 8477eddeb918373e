/** A number of any length: `units / 10 ** scale`; or one that is none. */
export interface Decimal {
  readonly units: bigint
  /** Digits behind the point. */
  readonly scale: number
  /** NaN, Infinity or -Infinity, which PostgreSQL has too; then `units` means nothing. */
  readonly special?: number
}

/** With an exponent only where somebody has numbers made of decimals. */
const FORM = /^([+-]?)(\d+)(?:\.(\d*))?(?:e([+-]\d+))?$/

/**
 * Reads a number of an engine exactly.
 *
 * @throws TypeError for what is no number
 */
export function decimalOf(value: unknown): Decimal {
  if (typeof value === 'bigint') return { units: value, scale: 0 }
  const text = String(value)
  const parts = FORM.exec(text)
  if (parts) {
    const [, sign = '', whole = '', fraction = '', exponent = '0'] = parts
    const units = BigInt(`${sign === '-' ? '-' : ''}${whole}${fraction}`)
    const scale = fraction.length - Number(exponent)
    return scale < 0 ? { units: units * 10n ** BigInt(-scale), scale: 0 } : { units, scale }
  }
  const number = Number(text)
  if (!/^(NaN|-?Infinity)$/.test(text)) throw new TypeError(`${JSON.stringify(value)} is no decimal number`)
  return { units: 0n, scale: 0, special: number }
}

/** As the engine writes it. */
export function showDecimal({ units, scale, special }: Decimal): string {
  if (special !== undefined) return String(special)
  if (scale === 0) return String(units)
  const digits = String(units < 0n ? -units : units).padStart(scale + 1, '0')
  return `${units < 0n ? '-' : ''}${digits.slice(0, -scale)}.${digits.slice(-scale)}`
}

/** Exactly; with as many digits as the longer of both. */
export function addDecimals(a: Decimal, b: Decimal): Decimal {
  if (a.special !== undefined || b.special !== undefined)
    return { units: 0n, scale: 0, special: (a.special ?? 0) + (b.special ?? 0) }
  const scale = Math.max(a.scale, b.scale)
  return { units: scaled(a, scale) + scaled(b, scale), scale }
}

/** NaN is equal to itself, and above all others. */
export function compareDecimals(a: Decimal, b: Decimal): number {
  if (a.special !== undefined || b.special !== undefined) return rankOf(a) - rankOf(b)
  const scale = Math.max(a.scale, b.scale)
  const left = scaled(a, scale)
  const right = scaled(b, scale)
  return left < right ? -1 : left > right ? 1 : 0
}

function rankOf({ special }: Decimal): number {
  if (special === undefined) return 0
  return Number.isNaN(special) ? 2 : Math.sign(special)
}

function scaled({ units, scale }: Decimal, to: number): bigint {
  return scale === to ? units : units * 10n ** BigInt(to - scale)
}
