import { expect, test } from 'vitest'
import { alternativeNames } from './alternative-names.js'

test('names are told apart, with the kinds that OpenSSL has for them', () => {
  expect(
    alternativeNames(
      'DNS:a.example, IP Address:10.0.0.1, URI:spiffe://x/y, email:a@b.c, IP Address:0:0:0:0:0:0:0:1',
    ),
  ).toEqual(['DNS:a.example', 'IP:10.0.0.1', 'URI:spiffe://x/y', 'email:a@b.c', 'IP:0:0:0:0:0:0:0:1'])
})

test('a name with a comma in it is one name, and cannot pass for two (CVE-2021-44532)', () => {
  expect(alternativeNames('URI:"http://a\\u002c DNS:bank.example", DNS:b')).toEqual([
    'URI:http://a, DNS:bank.example',
    'DNS:b',
  ])
})

test('a certificate may have none', () => {
  expect(alternativeNames(undefined)).toEqual([])
})
