import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatTraceparent, parseTraceContext, parseTraceState } from './trace-context.js'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const SPAN = 'b7ad6b7169203331'
const VALID = `00-${TRACE}-${SPAN}-01`

describe('traceparent', () => {
  test('a valid one is read', () => {
    expect(parseTraceContext(VALID)).toEqual({
      traceId: TRACE,
      spanId: SPAN,
      sampled: true,
      state: undefined,
    })
  })

  test.each(['00', '02', 'fe'])('flags %s do not say sampled', (flags) => {
    expect(parseTraceContext(`00-${TRACE}-${SPAN}-${flags}`)?.sampled).toBe(false)
  })

  test.each(['01', '03', 'ff'])('flags %s say sampled', (flags) => {
    expect(parseTraceContext(`00-${TRACE}-${SPAN}-${flags}`)?.sampled).toBe(true)
  })

  test.each([
    ['nothing', undefined],
    ['an empty field', ''],
    ['upper case', VALID.toUpperCase()],
    ['version ff', `ff-${TRACE}-${SPAN}-01`],
    ['a trace id of zeros', `00-${'0'.repeat(32)}-${SPAN}-01`],
    ['a span id of zeros', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['a trace id that is too short', `00-${TRACE.slice(1)}-${SPAN}-01`],
    ['a trace id that is too long', `00-${TRACE}0-${SPAN}-01`],
    ['a span id that is too short', `00-${TRACE}-${SPAN.slice(1)}-01`],
    ['flags of one digit', `00-${TRACE}-${SPAN}-1`],
    ['flags that are no number', `00-${TRACE}-${SPAN}-.1`],
    ['version 00 with more behind it', `${VALID}-what`],
    ['a later version with more that is not set apart', `01-${TRACE}-${SPAN}-01.what`],
    ['two fields', `${VALID}, ${VALID}`],
    ['underscores', VALID.replaceAll('-', '_')],
  ])('%s begins a new trace, and the state goes', (_, traceparent) => {
    expect(parseTraceContext(traceparent, 'a=1')).toBeUndefined()
  })

  test.each([`cc-${TRACE}-${SPAN}-01`, `cc-${TRACE}-${SPAN}-01-what-ever`])(
    'a later version is read as far as it is known: %s',
    (traceparent) => {
      expect(parseTraceContext(traceparent)).toMatchObject({ traceId: TRACE, spanId: SPAN, sampled: true })
    },
  )

  test('what is written reads as the same', () => {
    const hex = (length: number) =>
      fc.string({ unit: fc.constantFrom('0', '1', '9', 'a', 'f'), minLength: length, maxLength: length })
    fc.assert(
      fc.property(hex(32), hex(16), fc.boolean(), (traceId, spanId, sampled) => {
        fc.pre(/[^0]/.test(traceId) && /[^0]/.test(spanId))
        const context = { traceId, spanId, sampled, state: undefined }
        expect(parseTraceContext(formatTraceparent(context))).toEqual(context)
      }),
    )
  })
})

describe('tracestate', () => {
  test('passes as it is', () => {
    expect(parseTraceContext(VALID, 'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE')?.state).toBe(
      'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE',
    )
  })

  test('white space around members and empty members go', () => {
    expect(parseTraceState(' foo=1 \t , \t bar=2, , ,baz=3,')).toBe('foo=1,bar=2,baz=3')
  })

  test('of members with one key the latest, which stands first, is kept', () => {
    expect(parseTraceState('foo=2,bar=1,foo=1')).toBe('foo=2,bar=1')
  })

  test.each([
    'foo',
    'foo=',
    '=1',
    'foo =1',
    'FOO=1',
    'foo.bar=1',
    'foo@=1,bar=2',
    '@foo=1,bar=2',
    'foo@@bar=1,bar=2',
    'foo@bar@baz=1',
    'foo=bar=baz',
    'foo=ä',
    `${'z'.repeat(257)}=1`,
    `${'t'.repeat(242)}@v=1`,
    `t@${'v'.repeat(15)}=1`,
    `foo=${'v'.repeat(257)}`,
  ])('%s is not valid, which makes the whole of it nothing', (state) => {
    expect(parseTraceContext(VALID, `ok=1,${state}`)).toMatchObject({ traceId: TRACE, state: undefined })
  })

  test.each([
    `${'z'.repeat(256)}=1`,
    `${'t'.repeat(241)}@${'v'.repeat(14)}=1`,
    `foo=${'v'.repeat(256)}`,
    '0tenant*/-_@vendor=! #$%&()*+-./:;<>?@[]^_`{|}~',
  ])('%s is valid', (state) => {
    expect(parseTraceState(state)).toBe(state)
  })

  test('32 members are passed, 33 are not valid', () => {
    const members = Array.from({ length: 33 }, (_, index) => `m${index}=1`)
    expect(parseTraceState(members.slice(1).join(','))).toBe(members.slice(1).join(','))
    expect(parseTraceState(members.join(','))).toBeUndefined()
  })

  test('one that is too long loses its long members first, then those at its end', () => {
    const long = `long=${'x'.repeat(250)}`
    const short = Array.from({ length: 25 }, (_, index) => `m${index}=${'y'.repeat(90)}`)
    const passed = parseTraceState([long, ...short].join(','))!
    expect(passed.length).toBeLessThanOrEqual(2_048)
    expect(passed.split(',')).toEqual(short.slice(0, passed.split(',').length))
    expect(`${passed},${short[passed.split(',').length]!}`.length).toBeGreaterThan(2_048)
  })

  test('whatever comes in, what goes out is valid and short enough', () => {
    fc.assert(
      fc.property(
        fc.string({
          unit: fc.constantFrom('a', 'b', '=', ',', '@', ' ', '\t', '1', 'é'),
          maxLength: 4_000,
          size: 'max',
        }),
        (text) => {
          const state = parseTraceState(text)
          if (state === undefined) return
          expect(parseTraceState(state)).toBe(state)
          expect(state.length).toBeLessThanOrEqual(2_048)
        },
      ),
    )
  })
})
