/** What each byte may be, as tables: one look-up a byte instead of a chain of comparisons. */

/** RFC 9110 5.6.2 `tchar`: what methods and field names are made of. */
export const TOKEN = table((code) => /[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(String.fromCharCode(code)))

/** RFC 9110 5.5 field values: visible characters, space, tab and obs-text; no controls, so no bare CR and no NUL. */
export const FIELD_VALUE = table((code) => code === 0x09 || (code >= 0x20 && code !== 0x7f))

/** RFC 9112 3.2 request targets: visible ASCII only, and no fragment. */
export const TARGET = table((code) => code > 0x20 && code < 0x7f && code !== 0x23)

/** Values of the hexadecimal digits, 255 for the rest. */
export const HEX = Uint8Array.from({ length: 256 }, (_, code) => {
  const digit = Number.parseInt(String.fromCharCode(code), 16)
  return Number.isNaN(digit) ? 255 : digit
})

export const CR = 0x0d
export const LF = 0x0a
export const SPACE = 0x20
export const TAB = 0x09
export const COLON = 0x3a

function table(accepts: (code: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, code) => (accepts(code) ? 1 : 0))
}

/** True if `text` is a token: a valid method or field name. */
export function isToken(text: string): boolean {
  return text.length > 0 && every(text, TOKEN)
}

/** True if `text` can stand as a field value. */
export function isFieldValue(text: string): boolean {
  return every(text, FIELD_VALUE)
}

/** True if `text` can stand as the target of a request. */
export function isTarget(text: string): boolean {
  return every(text, TARGET)
}

function every(text: string, accepted: Uint8Array): boolean {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code > 0xff || accepted[code] === 0) return false
  }
  return true
}
