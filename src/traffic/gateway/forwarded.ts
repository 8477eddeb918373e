import { BlockList, isIP, isIPv6 } from 'node:net'
import type { Client } from '../http/exchange.js'
import type { Fields } from '../http/fields.js'

/** Which peers are believed when they say on whose behalf they ask. */
export type Trust = (address: string) => boolean

/**
 * Peers by network.
 *
 * @param networks - addresses or CIDR blocks: `10.0.0.0/8`, `::1`
 */
export function trustNetworks(networks: readonly string[]): Trust {
  if (networks.length === 0) return () => false
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', prefix] = network.split('/')
    const family = isIPv6(address) ? 'ipv6' : 'ipv4'
    if (prefix === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(prefix), family)
  }
  return (address) => {
    const plain = withoutMapping(address)
    return isIP(plain) !== 0 && list.check(plain, isIPv6(plain) ? 'ipv6' : 'ipv4')
  }
}

/**
 * Who really asks: from the right of `X-Forwarded-For`, the first address that is not a trusted proxy. What an
 * untrusted peer claims is not looked at.
 *
 * @param peer - the address of the connection
 */
export function clientAddress(peer: string, fields: Fields, trust: Trust): string {
  let client = withoutMapping(peer)
  if (!trust(client)) return client
  const chain = (fields.get('x-forwarded-for') ?? '').split(',')
  for (const entry of chain.reverse()) {
    const address = entry.trim()
    if (isIP(address) === 0) break
    client = address
    if (!trust(address)) break
  }
  return client
}

/**
 * `Forwarded` (RFC 7239) and its older relatives, for the next hop. What a trusted peer said is continued, what
 * anybody else said is replaced.
 *
 * @param host - what the client asked for
 * @param before - the request's own fields if the peer is trusted
 * @returns lines with CRLF
 */
export function forwardedText(client: Client, host: string, before: Fields | undefined): string {
  const address = withoutMapping(client.remoteAddress)
  const node = isIPv6(address) ? `"[${address}]"` : address || 'unknown'
  const proto = client.tls ? 'https' : 'http'
  // A host of RFC 3986 may hold characters that a token may not; quoting is always allowed.
  const own = `for=${node};host=${/^[\w.-]+$/.test(host) ? host : `"${host}"`};proto=${proto}`
  const chain = (name: string, value: string): string => {
    const known = before?.get(name)
    return known === undefined ? value : `${known}, ${value}`
  }
  return (
    `Forwarded: ${chain('forwarded', own)}\r\n` +
    `X-Forwarded-For: ${chain('x-forwarded-for', address)}\r\n` +
    `X-Forwarded-Proto: ${before?.get('x-forwarded-proto') ?? proto}\r\n` +
    `X-Forwarded-Host: ${before?.get('x-forwarded-host') ?? host}\r\n` +
    (client.tls?.fields ?? (before ? certificateBefore(before) : ''))
  )
}

/** What a trusted proxy says about the certificate of the client behind it (RFC 9440). */
function certificateBefore(before: Fields): string {
  let text = ''
  for (const name of ['Client-Cert', 'Client-Cert-Chain']) {
    const value = before.get(name.toLowerCase())
    if (value !== undefined) text += `${name}: ${value}\r\n`
  }
  return text
}

/** Node reports IPv4 peers of a dual-stack socket as `::ffff:192.0.2.1`. */
function withoutMapping(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
}
