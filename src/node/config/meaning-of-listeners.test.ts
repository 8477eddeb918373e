import { chmodSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { TestAuthority } from '../../../test/support/certificates.js'
import { checkSource, type Loaded } from './load.js'
import { formatProblem } from './problem.js'
import { readYaml } from './yaml-source.js'

const authority = new TestAuthority()
const shop = authority.issue({ names: ['DNS:shop.example'] })
const other = authority.issue({ names: ['DNS:other.example'] })
const locked = authority.issue({ passphrase: 'open sesame' })
const expired = authority.issue({ valid: ['20200101000000Z', '20210101000000Z'] })
const future = authority.issue({ valid: ['20900101000000Z', '20910101000000Z'] })
const nonsense = `${shop.cert}.nonsense`
writeFileSync(nonsense, 'nonsense')
const unreadable = `${shop.key}.unreadable`
writeFileSync(unreadable, '')
chmodSync(unreadable, 0)

function load(listen: string): Loaded {
  const yaml = `${listen}\nservices: { s: { endpoints: [http://127.0.0.1:1] } }\nroutes: { all: { match: {}, to: s } }\n`
  return checkSource('f', readYaml(yaml, {}))
}

function problems(listen: string): string[] {
  const loaded = load(listen)
  return (loaded.ok ? loaded.warnings : loaded.problems).map(formatProblem)
}

/** A listener with one certificate, on three lines. */
const listener = (certificate: string, more = ''): string =>
  `listen:\n  address: 8443\n  tls: { certificates: [${certificate}]${more} }`

const of = ({ cert, key }: { cert: string; key: string }): string => `{ cert: ${cert}, key: ${key} }`

test('a listener with certificates that can be used is fine', () => {
  expect(problems(listener(of(shop)))).toEqual([])
  expect(problems(listener(`{ cert: ${locked.cert}, key: ${locked.key}, passphrase: open sesame }`))).toEqual(
    [],
  )
  expect(problems('listen: [8080, { address: 8082, h2c: true }]')).toEqual([])
})

test.each([
  ['missing', `{ cert: /nowhere.pem, key: ${shop.key} }`, 'cert: there is no file `/nowhere.pem`'],
  [
    'no certificate',
    `{ cert: ${nonsense}, key: ${shop.key} }`,
    `cert: \`${nonsense}\` holds no certificate in PEM`,
  ],
  [
    'no key',
    `{ cert: ${shop.cert}, key: ${shop.cert} }`,
    `key: \`${shop.cert}\` holds no private key in PEM`,
  ],
  [
    'the key of another',
    `{ cert: ${shop.cert}, key: ${other.key} }`,
    `key: \`${other.key}\` is not the key of the certificate in \`${shop.cert}\``,
  ],
  ['a directory', `{ cert: /tmp, key: ${shop.key} }`, 'cert: cannot read `/tmp` (EISDIR)'],
  ['encrypted', of(locked), `key: \`${locked.key}\` is encrypted; it needs a \`passphrase\``],
  [
    'encrypted otherwise',
    `{ cert: ${locked.cert}, key: ${locked.key}, passphrase: x }`,
    `passphrase: does not open \`${locked.key}\``,
  ],
])('a file that is %s is an error where it is named', (_what, certificate, message) => {
  const [problem, ...rest] = problems(listener(certificate))
  expect(problem).toMatch(/^f:3:\d+: listen\.tls\.certificates\[0\]\./)
  expect(problem).toContain(message)
  expect(rest).toEqual([])
})

test.each([
  ['has expired', expired, 'has expired on 2021-01-01T00:00:00.000Z: clients refuse it'],
  ['is not valid yet', future, 'is only valid from 2090-01-01T00:00:00.000Z on: clients refuse it'],
])('a certificate that %s is a warning: what else is served must not wait for it', (_what, pair, message) => {
  expect(load(listener(of(pair))).ok).toBe(true)
  const [problem, ...rest] = problems(listener(of(pair)))
  expect(problem).toMatch(/^f:3:\d+: listen\.tls\.certificates\[0\]\.cert: /)
  expect(problem).toContain(message)
  expect(rest).toEqual([])
})

test('every file that is wrong is told, each in its place', () => {
  const clients = ', clients: { ca: /nobody.pem, mode: require }'
  expect(
    problems(listener('{ cert: /a.pem, key: /a.key }, { cert: /b.pem, key: /b.key }', clients)),
  ).toHaveLength(5)
})

test('two certificates of which one would never be shown are an error', () => {
  const twin = authority.issue({ names: ['DNS:shop.example'] })
  expect(problems(listener(`${of(shop)}, ${of(twin)}`))[0]).toContain(
    'listen.tls.certificates[1]: stands for the same names as `certificates[0]`',
  )
})

test('a certificate that expires soon is a warning', () => {
  const date = (days: number): string =>
    new Date(Date.now() + days * 24 * 3600 * 1000).toISOString().replace(/[-:T]|\.\d+/g, '')
  const short = authority.issue({ valid: [date(-1), date(3)] })
  expect(problems(listener(of(short)))[0]).toMatch(/certificates\[0\]\.cert: expires in 2 days, on 20/)
})

test.each([
  ['HTTP/2 by ALPN without TLS', 'listen: { address: 1, http2: true }', '1:23: listen.http2: needs `tls`'],
  [
    'HTTP/2 without TLS under TLS',
    listener(of(shop)).replace('tls:', 'h2c: true\n  tls:'),
    '3:3: listen.h2c: is for listeners without `tls`',
  ],
  [
    'an address that is taken',
    'listen: [8080, { address: 8080 }]',
    '1:27: listen[1].address: the address 127.0.0.1:8080 is taken by `listen[0]` already',
  ],
  ['an unknown key', 'listen: { address: 1, tsl: {} }', 'unknown key `tsl`, did you mean `tls`?'],
  [
    'a field of the gateway',
    listener(
      of(shop),
      `, clients: { ca: ${authority.cert}, mode: request, forward: { subject: X-Forwarded-For } }`,
    ),
    'is a field that the gateway itself writes',
  ],
  [
    'one field for two things',
    listener(
      of(shop),
      `, clients: { ca: ${authority.cert}, mode: request, forward: { subject: X-A, names: x-a } }`,
    ),
    'is the field of `subject` already',
  ],
  ['no mode', listener(of(shop), `, clients: { ca: ${authority.cert} }`), 'mode'],
])('%s is an error', (_what, listen, message) => {
  expect(problems(listen).join('\n')).toContain(message)
})
