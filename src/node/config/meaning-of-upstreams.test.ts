import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { TestAuthority, type TestCertificate } from '../../../test/support/certificates.js'
import { checkSource } from './load.js'
import { readYaml } from './yaml-source.js'

let authority: TestAuthority
let one: TestCertificate
let other: TestCertificate

beforeAll(() => {
  authority = new TestAuthority()
  one = authority.issue()
  other = authority.issue()
})

/** What is wrong with a service, as `line:column severity message`. */
function problemsOf(service: string): string[] {
  const yaml = `listen: 127.0.0.1:0\nservices:\n  s:\n    endpoints: [https://127.0.0.1:1]\n${service.replace(/^/gm, '    ')}\nroutes:\n  r: { match: {}, to: s }\n`
  const loaded = checkSource('banyan.yaml', readYaml(yaml, {}))
  const problems = loaded.ok ? loaded.warnings : loaded.problems
  return problems.map(({ line, column, severity, message }) => `${line}:${column} ${severity} ${message}`)
}

describe('files of `tls`', () => {
  test('that are right are taken without a word', () => {
    expect(problemsOf(`tls: { ca: ${authority.cert}, cert: ${one.cert}, key: ${one.key} }`)).toEqual([])
  })

  test('that are missing are named where they are asked for, all at once', () => {
    expect(problemsOf('tls:\n  ca: /nowhere/ca.pem\n  cert: /nowhere/a.pem\n  key: /nowhere/a.key')).toEqual([
      '6:11 error there is no file `/nowhere/ca.pem`',
      '7:13 error there is no file `/nowhere/a.pem`',
      '8:12 error there is no file `/nowhere/a.key`',
    ])
  })

  test('that hold something else say what should be in them', () => {
    const junk = join(tmpdir(), `banyan-junk-${process.pid}.pem`)
    writeFileSync(junk, 'hello')
    expect(problemsOf(`tls:\n  ca: ${junk}`)).toEqual([
      `6:11 error \`${junk}\` does not hold certificates in PEM (there is no certificate in it)`,
    ])
    expect(problemsOf(`tls:\n  cert: ${one.cert}\n  key: ${one.cert}`)[0]).toMatch(
      /^7:12 error .* does not hold a private key in PEM/,
    )
    const locked = authority.issue({ passphrase: 'secret' })
    expect(problemsOf(`tls:\n  cert: ${locked.cert}\n  key: ${locked.key}`)[0]).toMatch(
      /the key is encrypted/,
    )
  })

  test('belong together', () => {
    expect(problemsOf(`tls:\n  cert: ${one.cert}\n  key: ${other.key}`)).toEqual([
      '7:12 error is not the key of the certificate in `cert`',
    ])
    expect(problemsOf(`tls:\n  cert: ${one.cert}`)).toEqual(['6:13 error a certificate needs its `key`'])
    expect(problemsOf(`tls:\n  key: ${one.key}`)).toEqual(['6:12 error a key needs its `cert`'])
  })

  test('that have run out are worth a warning', () => {
    const old = authority.issue({ valid: ['20200101000000Z', '20210101000000Z'] })
    expect(problemsOf(`tls:\n  cert: ${old.cert}\n  key: ${old.key}`)).toEqual([
      '6:13 warning the certificate was valid until 2021-01-01T00:00:00.000Z',
    ])
  })
})

describe('what makes no sense', () => {
  test('`tls` without an https endpoint', () => {
    expect(problemsOf('').length).toBe(0)
    const yaml =
      'listen: 127.0.0.1:0\nservices: { s: { endpoints: [http://127.0.0.1:1], tls: {} } }\nroutes: { r: { match: {}, to: s } }'
    const loaded = checkSource('banyan.yaml', readYaml(yaml, {}))
    expect(loaded.ok ? [] : loaded.problems.map(({ message }) => message)).toEqual([
      'is for `https` endpoints, and all of these are `http`',
    ])
  })

  test('is warned of: believing anybody', () => {
    expect(problemsOf('tls:\n  verify: false')).toEqual([
      '6:15 warning anybody who can answer in the place of the endpoints is believed',
    ])
  })

  test('an address as the name of a server', () => {
    expect(problemsOf('tls:\n  serverName: 127.0.0.1')[0]).toContain('must be a host name, not an address')
  })
})
