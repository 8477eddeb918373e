import { BanyanError } from '../../core/errors.js'
import { isToken } from '../http/characters.js'
import type { OutgoingWork } from './outgoing-work.js'

/** Finds the key of a request; `undefined` if it has none. */
export type HashKey = (work: OutgoingWork) => string | undefined

/**
 * Reads what requests belong together: `client`, `path`, `header:<name>`, `cookie:<name>` or `query:<name>`, all as the
 * service gets to see them.
 *
 * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS`
 */
export function parseHashKey(text: string): HashKey {
  if (text === 'client') return (work) => work.clientAddress
  if (text === 'path') return ({ target }) => target.split('?', 1)[0]!
  const [, kind, name = ''] = /^(header|cookie|query):(.+)$/.exec(text) ?? []
  if (kind === 'query') return ({ target }) => queryOf(target).get(name) ?? undefined
  if (kind === 'header' && isToken(name)) {
    const lower = name.toLowerCase()
    return (work) => work.sent(lower)
  }
  if (kind === 'cookie' && isToken(name)) return (work) => cookieOf(work.sent('cookie') ?? '', name)
  throw new BanyanError(
    'BANYAN_INVALID_OPTIONS',
    `\`${text}\` must be \`client\`, \`path\`, \`header:<name>\`, \`cookie:<name>\` or \`query:<name>\``,
  )
}

function queryOf(target: string): URLSearchParams {
  const mark = target.indexOf('?')
  return new URLSearchParams(mark < 0 ? '' : target.slice(mark + 1))
}

function cookieOf(cookies: string, name: string): string | undefined {
  for (const cookie of cookies.split(/; ?/)) {
    if (cookie.startsWith(`${name}=`)) return cookie.slice(name.length + 1)
  }
  return undefined
}
