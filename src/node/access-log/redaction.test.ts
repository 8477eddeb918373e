import { describe, expect, test } from 'vitest'
import { Redaction } from './redaction.js'

describe('a query', () => {
  const none = new Redaction([], [])

  test('keeps its names and loses its values', () => {
    expect(none.query('?user=anna&page=2')).toBe('user=***&page=***')
  })

  test('keeps what is empty, and short flags', () => {
    expect(none.query('?a=&&verbose')).toBe('a=&&verbose')
  })

  test('that is a value without a name is none of ours to write down', () => {
    expect(none.query('?eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0')).toBe('***')
  })

  test('keeps the values of parameters that are named, however they are written', () => {
    const some = new Redaction([], ['page'])
    expect(some.query('?page=2&Page=3&%70age=4&user=anna')).toBe('page=2&Page=3&%70age=4&user=***')
  })

  test('with `*` keeps all but secrets', () => {
    const all = new Redaction(['tan'], '*')
    expect(all.query('?page=2&access_token=t&TAN=1&user=anna')).toBe(
      'page=2&access_token=***&TAN=***&user=anna',
    )
  })

  test('a secret that is named by the operator is written', () => {
    expect(new Redaction([], ['code']).query('code=DE')).toBe('code=DE')
  })

  test('what cannot be decoded is a name like any other', () => {
    expect(none.query('%zz=1')).toBe('%zz=***')
  })
})

describe('a header field', () => {
  test.each(['authorization', 'cookie', 'proxy-authorization', 'x-api-key'])('%s is a secret', (name) => {
    expect(new Redaction([], '*').header(name, 'Basic abc')).toBe('***')
  })

  test('others are written, unless the operator says no', () => {
    expect(new Redaction([], []).header('x-tenant', 'a')).toBe('a')
    expect(new Redaction(['X-Tenant'], []).header('x-tenant', 'a')).toBe('***')
  })
})
