import { coordinationError } from '../../errors.js'
import { claimOf, isFenceName, type Claim } from '../claim.js'

/**
 * The header field, in lower case: `Fencing-Token: "orders";token=42`. A structured field (RFC 9651): an Item, whose bare item
 * is the name of the fence, a String or, if it is not of ASCII, a Display String; the parameter `token` is an Integer. Other
 * parameters mean nothing.
 */
export const FENCING_TOKEN = 'fencing-token'

/** The most that an Integer of a structured field can be. */
const MAX_INTEGER = 999_999_999_999_999

/**
 * The header fields of a request that is sent as the holder of something.
 *
 * @throws what `check` of what is held throws; `BANYAN_INVALID_OPTIONS`
 */
export function fencingHeaders(claim: Claim): Record<string, string> {
  const { name, token, check } = claimOf(claim)
  check()
  if (token > MAX_INTEGER)
    throw coordinationError(
      'BANYAN_INVALID_FENCING_TOKEN',
      `token ${token} has more than the 15 digits that a header field can have`,
    )
  return { [FENCING_TOKEN]: `${bareItem(name)};token=${token}` }
}

/** The name of a fence and a token, as they came. */
export interface FencingToken {
  readonly name: string
  readonly token: number
}

/**
 * Reads the field.
 *
 * @param field - what stands behind `Fencing-Token:`
 * @throws `BANYAN_INVALID_FENCING_TOKEN`
 */
export function parseFencingToken(field: string): FencingToken {
  const text = field.replace(/^ +| +$/g, '')
  const [item] = BARE_ITEM.exec(text) ?? []
  const name = item === undefined ? undefined : nameOf(item)
  if (item === undefined || name === undefined) throw invalid(field)
  let token: number | undefined
  for (let rest = text.slice(item.length); rest !== '';) {
    const [parameter, key, value] = PARAMETER.exec(rest) ?? []
    if (parameter === undefined) throw invalid(field)
    if (key === 'token') token = /^\d{1,15}$/.test(value ?? '') ? Number(value) : undefined
    rest = rest.slice(parameter.length)
  }
  if (!token || !isFenceName(name)) throw invalid(field)
  return { name, token }
}

const STRING = /"(?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"/.source
const DISPLAY_STRING = /%"(?:[\x20-\x21\x23-\x24\x26-\x7e]|%[0-9a-f]{2})*"/.source
const BARE_ITEM = new RegExp(`^(?:${STRING}|${DISPLAY_STRING})`)
/** `;key=value`, whatever kind of bare item the value is, or `;key`. */
const PARAMETER = new RegExp(
  String.raw`^; *([a-z*][a-z0-9_\-.*]*)(?:=(-?\d{1,15}(?:\.\d{1,3})?|${STRING}|${DISPLAY_STRING}` +
    String.raw`|[A-Za-z*][\w!#$%&'*+\-.^\x60|~:/]*|:[A-Za-z0-9+/=]*:|\?[01]|@-?\d{1,15}))?`,
)

/** Of a String, or of a Display String. */
function nameOf(item: string): string | undefined {
  if (!item.startsWith('%')) return item.slice(1, -1).replace(/\\(["\\])/g, '$1')
  try {
    return decodeURIComponent(item.slice(2, -1))
  } catch {
    // No UTF-8.
    return undefined
  }
}

function bareItem(name: string): string {
  if (/^[\x20-\x7e]*$/.test(name)) return `"${name.replace(/["\\]/g, '\\$&')}"`
  const encoded = [...Buffer.from(name)].map((byte) => {
    const character = String.fromCharCode(byte)
    return /[\x20-\x21\x23-\x24\x26-\x7e]/.test(character)
      ? character
      : `%${byte.toString(16).padStart(2, '0')}`
  })
  return `%"${encoded.join('')}"`
}

function invalid(field: string): Error {
  return coordinationError(
    'BANYAN_INVALID_FENCING_TOKEN',
    `Fencing-Token must be the name of a fence and its token, such as "orders";token=42, got ${JSON.stringify(field.slice(0, 200))}`,
  )
}
