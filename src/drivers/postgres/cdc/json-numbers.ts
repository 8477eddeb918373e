/** Up to 15 digits are always what they were, unless there is an exponent. */
const MAY_BE_LARGE = /\d{16}|\d\.\d{9}|\d[eE]/
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/gs

/** Puts numbers of a JSON text that a double does not hold into quotes, so that they stay what they are, as text. */
export function quoteLargeNumbers(json: string): string {
  if (!MAY_BE_LARGE.test(json)) return json
  return json.replace(TOKEN, (token) => (token.startsWith('"') || isExact(token) ? token : `"${token}"`))
}

function isExact(token: string): boolean {
  const number = Number(token)
  return Number.isFinite(number) && significant(token) === significant(String(number))
}

/** Its digits and its power of ten, so that `1.50`, `15e-1` and `1.5` are the same. */
function significant(text: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? []
  const digits = (whole + fraction).replace(/^0+/, '')
  const trimmed = digits.replace(/0+$/, '')
  if (trimmed === '') return '0'
  return `${sign}${trimmed}e${Number(exponent) - fraction.length + (digits.length - trimmed.length)}`
}
