import { BanyanError } from '../../core/errors.js'
import type { Address } from '../http/upstream/connector.js'

/**
 * Reads an endpoint's URL.
 *
 * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` if it is not `http(s)://host[:port]`
 */
export function parseEndpoint(url: string): Address {
  const match = /^(https?):\/\/(\[[0-9a-f:.]+\]|[^/?#@:[\]]+)(?::(\d{1,5}))?\/?$/i.exec(url)
  const secure = match?.[1]!.toLowerCase() === 'https'
  const port = Number(match?.[3] ?? (secure ? 443 : 80))
  if (!match || port < 1 || port > 65_535) {
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `endpoint \`${url}\` must be http(s)://host:port, without a path`,
    )
  }
  const host = match[2]!.replace(/^\[|\]$/g, '')
  return { host, port, tls: secure }
}
