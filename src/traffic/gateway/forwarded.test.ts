import { describe, expect, test } from 'vitest'
import { Fields } from '../http/fields.js'
import { clientAddress, forwardedText, trustNetworks } from './forwarded.js'

const chain = (value: string): Fields => Fields.of([['X-Forwarded-For', value]])

describe('who asks', () => {
  const trust = trustNetworks(['10.0.0.0/8', '::1', '2001:db8::/32'])

  test.each([
    ['192.0.2.1', '6.6.6.6', '192.0.2.1', 'an untrusted peer is not believed'],
    ['10.0.0.1', '192.0.2.7', '192.0.2.7', 'a trusted one is'],
    [
      '10.0.0.1',
      '6.6.6.6, 192.0.2.7, 10.9.9.9',
      '192.0.2.7',
      'from the right, the first that is not trusted',
    ],
    ['10.0.0.1', 'nonsense', '10.0.0.1', 'what is no address ends the search'],
    ['10.0.0.1', '10.1.1.1, 10.2.2.2', '10.1.1.1', 'all trusted: the farthest'],
    ['::ffff:10.0.0.1', '192.0.2.7', '192.0.2.7', 'mapped addresses are IPv4'],
    ['2001:db8::5', '2001:db9::1', '2001:db9::1', 'IPv6'],
  ])('%s with %s is %s: %s', (peer, value, expected) => {
    expect(clientAddress(peer, chain(value), trust)).toBe(expected)
  })
})

describe('Forwarded', () => {
  test('quotes IPv6 and hosts with a port', () => {
    const tls = { serverName: undefined, certificate: undefined }
    const secure = { remoteAddress: '2001:db8::1', tls, forwarded: undefined }
    expect(forwardedText(secure, 'a.example:8080', undefined)).toBe(
      'Forwarded: for="[2001:db8::1]";host="a.example:8080";proto=https\r\n' +
        'X-Forwarded-For: 2001:db8::1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a.example:8080\r\n',
    )
  })
})
