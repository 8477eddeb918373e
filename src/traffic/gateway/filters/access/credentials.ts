import { sameName, type Fields } from '../../../http/fields.js'
import type { Forwarding } from '../../forwarding.js'
import { invalid, type Outcome } from './authenticator.js'
import type { TokenPlace } from './spec.js'

/** A longer token is refused unread, in characters. */
export const MOST_TOKEN = 8 * 1024

/** Reads tokens from one place. */
export interface TokenReader {
  /** Whether browsers send what stands here by themselves. */
  readonly ambient: boolean
  /** The token; `undefined` if there is none; an outcome if what is there cannot be one. */
  read(fields: Fields): string | undefined | Outcome
  hide(forwarding: Forwarding): void
}

/** The first of the places that holds a token decides. */
export function readFirst(readers: readonly TokenReader[], fields: Fields): string | undefined | Outcome {
  for (const reader of readers) {
    const found = reader.read(fields)
    if (found !== undefined) return found
  }
  return undefined
}

/** Whether the place that decides is one that browsers fill by themselves. */
export function isAmbientFirst(readers: readonly TokenReader[], fields: Fields): boolean {
  return readers.find((reader) => reader.read(fields) !== undefined)?.ambient ?? false
}

export function tokenReader(place: TokenPlace): TokenReader {
  if (place === 'bearer') return schemeReader('bearer', BEARER)
  const name = place.slice(place.indexOf(':') + 1)
  return place.startsWith('cookie:') ? cookieReader(name) : headerReader(name)
}

/** RFC 6750 2.1 `b64token`; RFC 9110 calls it `token68`. */
const BEARER = /^[\w.~+/-]+=*$/

/**
 * Reads `Authorization: <scheme> <credentials>`.
 *
 * @param scheme - in lower case
 * @param shape - of the credentials
 */
export function schemeReader(scheme: string, shape: RegExp): TokenReader {
  const read: TokenReader['read'] = (fields) => {
    const value = single(fields, 'authorization')
    if (typeof value !== 'string') return value
    const space = value.indexOf(' ')
    const named = space < 0 ? value : value.slice(0, space)
    if (named.toLowerCase() !== scheme) return undefined
    const credentials = space < 0 ? '' : value.slice(space + 1).trim()
    if (credentials.length > MOST_TOKEN) return invalid('the credentials are too long')
    return shape.test(credentials)
      ? credentials
      : invalid(`not the form of ${scheme} credentials`, 'invalid_request')
  }
  return {
    ambient: scheme !== 'bearer',
    read,
    hide(forwarding) {
      if (read(forwarding.exchange.request.fields) !== undefined) forwarding.removeField('Authorization')
    },
  }
}

function headerReader(name: string): TokenReader {
  const lower = name.toLowerCase()
  return {
    ambient: false,
    read(fields) {
      const value = single(fields, lower)
      if (typeof value !== 'string') return value
      if (value.length > MOST_TOKEN) return invalid('the credentials are too long')
      return value === '' ? invalid(`${name} is empty`, 'invalid_request') : value
    },
    hide: (forwarding) => forwarding.removeField(name),
  }
}

function cookieReader(name: string): TokenReader {
  return {
    ambient: true,
    read(fields) {
      const values = cookies(fields).filter(([each]) => each === name)
      if (values.length === 0) return undefined
      // Any site of the same domain can add a cookie of that name; none of two is better than the other.
      if (values.length > 1) return invalid(`the cookie ${name} stands there twice`, 'invalid_request')
      const value = values[0]![1]
      if (value.length > MOST_TOKEN) return invalid('the credentials are too long')
      return value === '' ? undefined : value
    },
    hide(forwarding) {
      const others = cookies(forwarding.exchange.request.fields).filter(([each]) => each !== name)
      if (others.length === 0) forwarding.removeField('Cookie')
      else forwarding.setField('Cookie', others.map(([each, value]) => `${each}=${value}`).join('; '))
    },
  }
}

/** The cookies of a request (RFC 6265 4.2.1); HTTP/2 may bring them in several fields. */
function cookies(fields: Fields): [name: string, value: string][] {
  const pairs: [string, string][] = []
  for (let index = 0; index < fields.size; index++) {
    if (!sameName(fields.names[index]!, 'cookie')) continue
    for (const part of fields.values[index]!.split(';')) {
      const equals = part.indexOf('=')
      if (equals >= 0) pairs.push([part.slice(0, equals).trim(), part.slice(equals + 1).trim()])
    }
  }
  return pairs
}

/** The value of a field that may stand there once only. */
function single(fields: Fields, lower: string): string | undefined | Outcome {
  let value: string | undefined
  for (let index = 0; index < fields.size; index++) {
    if (!sameName(fields.names[index]!, lower)) continue
    if (value !== undefined) return invalid(`${lower} stands there twice`, 'invalid_request')
    value = fields.values[index]!
  }
  return value
}
