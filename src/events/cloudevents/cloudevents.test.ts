import { CloudEvent as OfficialCloudEvent, HTTP, type Headers, type Message } from 'cloudevents'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RecordedEvent } from '../log.js'
import {
  checkCloudEvent,
  CLOUDEVENT_BATCH,
  CLOUDEVENT_JSON,
  cloudEventsFromHttp,
  cloudEventToHttp,
  fromCloudEvent,
  parseCloudEvent,
  parseCloudEventBatch,
  streamOf,
  toCloudEvent,
  type CloudEvent,
} from './index.js'

const PLACED: RecordedEvent = {
  id: '0197-4711/0',
  type: 'OrderPlaced',
  data: { total: 30, lines: [{ sku: 'apple', quantity: 3 }] },
  metadata: {
    correlationId: 'request-1',
    causationId: 'click-1',
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    tracestate: 'rojo=00f067aa0ba902b7',
    actor: 'ada',
    attempt: 2,
    sampled: true,
    'user-agent': 'curl',
    address: { city: 'Bonn' },
  },
  tags: ['customer:7', 'eu'],
  schemaVersion: 2,
  time: Date.parse('2026-01-01T10:00:00.007Z'),
  recorded: Date.parse('2026-01-01T10:00:00.010Z'),
  stream: 'order-1',
  revision: 4,
  position: '0000000000000017',
  commit: '0197-4711',
}
const SOURCE = 'https://shop.example/log'
const FOREIGN = {
  specversion: '1.0',
  id: '4711',
  source: 'https://other.example/sensors?site=3#hall',
  type: 'com.example.measured',
  subject: 'sensor-9',
  time: '2026-01-01T12:00:00.1234567+02:00',
  dataschema: 'https://other.example/schemas/measured.json',
  datacontenttype: 'application/json; charset=utf-8',
  data: { celsius: 21.5 },
  comexampleextension1: 'value',
  comexampleothervalue: 5,
  comexampleflag: false,
  sequence: '5',
  partitionkey: 'hall-3',
}

function throughJson<Value>(value: Value): Value {
  return JSON.parse(JSON.stringify(value)) as Value
}

describe('an event of a log as a CloudEvent', () => {
  it('has the standard attributes, and extensions of the log', () => {
    expect(toCloudEvent(PLACED, { source: SOURCE })).toEqual({
      specversion: '1.0',
      id: '0197-4711/0',
      source: SOURCE,
      type: 'OrderPlaced',
      subject: 'order-1',
      time: '2026-01-01T10:00:00.007Z',
      datacontenttype: 'application/json',
      partitionkey: 'order-1',
      sequence: '0000000000000017',
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      tracestate: 'rojo=00f067aa0ba902b7',
      correlationid: 'request-1',
      causationid: 'click-1',
      actor: 'ada',
      attempt: 2,
      sampled: true,
      banyanstream: 'order-1',
      banyanrevision: 4,
      banyanposition: '0000000000000017',
      banyancommit: '0197-4711',
      banyanrecorded: '2026-01-01T10:00:00.010Z',
      banyanschemaversion: 2,
      banyantags: '["customer:7","eu"]',
      banyanmetadata: '{"user-agent":"curl","address":{"city":"Bonn"}}',
      data: { total: 30, lines: [{ sku: 'apple', quantity: 3 }] },
    })
  })

  it('comes back as it was', () => {
    expect(fromCloudEvent(throughJson(toCloudEvent(PLACED, { source: SOURCE })))).toEqual(PLACED)
  })

  it('may be bytes, null or nothing', () => {
    const bytes = toCloudEvent({ ...PLACED, data: new Uint8Array([0, 255, 7]) }, { source: SOURCE })
    expect(bytes).toMatchObject({ data_base64: 'AP8H', datacontenttype: 'application/octet-stream' })
    expect(fromCloudEvent(throughJson(bytes)).data).toEqual(new Uint8Array([0, 255, 7]))
    const none = toCloudEvent({ ...PLACED, data: null }, { source: SOURCE })
    expect(fromCloudEvent(throughJson(none)).data).toBeNull()
    const nothing = throughJson(toCloudEvent({ ...PLACED, data: undefined }, { source: SOURCE }))
    expect(nothing).not.toHaveProperty('data')
    expect(nothing).not.toHaveProperty('datacontenttype')
    expect(fromCloudEvent(nothing).data).toBeUndefined()
  })

  it('refuses a source that is no URI reference', () => {
    expect(() => toCloudEvent(PLACED, { source: 'my shop' })).toThrow(/source must be a URI reference/)
    expect(() => toCloudEvent(PLACED, { source: '' })).toThrow(/source must be a URI reference/)
  })
})

/** Names as a log takes them: any well-formed Unicode without NUL. */
const nameArbitrary = fc
  .oneof(
    fc.string({ minLength: 1, maxLength: 30 }),
    fc.string({ minLength: 1, maxLength: 30, unit: 'grapheme' }),
    fc.string({ minLength: 1, maxLength: 20, unit: 'binary' }),
    fc.constantFrom('a\nb', '\u007f', '\uffff', '\u{1ffff}', 'a%0Ab'),
  )
  .filter((text) => text !== '' && !/[\0\p{Surrogate}]/u.test(text))

const valueArbitrary = fc.oneof(
  fc.jsonValue().map(throughJson),
  fc.constantFrom<unknown>('a\nb', 2 ** 31, -(2 ** 31), 0.5, null, true, '', '\ud800'),
)

const metadataArbitrary = fc
  .tuple(
    fc.dictionary(
      fc.oneof(
        nameArbitrary,
        fc.stringMatching(/^[a-z0-9]{1,20}$/),
        fc.constantFrom(
          ...[
            'id',
            'source',
            'data',
            'data_base64',
            'subject',
            'time',
            'sequence',
            'partitionkey',
            'schemaurl',
          ],
          ...['correlationId', 'correlationid', 'causationId', 'causationid', 'traceparent', 'cloudevent'],
          ...['banyanrevision', 'banyanfoo', 'banyanmetadata', '__proto__', 'constructor', 'toString'],
        ),
      ),
      valueArbitrary,
    ),
    fc.option(
      fc.record(
        {
          id: valueArbitrary,
          source: fc.oneof(valueArbitrary, fc.constant('/elsewhere')),
          subject: valueArbitrary,
          time: fc.oneof(valueArbitrary, fc.constant('1970-01-01T01:00:00+01:00')),
          datacontenttype: fc.constantFrom<unknown>('text/xml', 'application/json', 'image/png', 7, 'no'),
          dataschema: fc.oneof(valueArbitrary, fc.constant('urn:x')),
          sequence: valueArbitrary,
          banyanfoo: valueArbitrary,
          banyanrevision: valueArbitrary,
        },
        { requiredKeys: [] },
      ),
      { nil: undefined },
    ),
  )
  .map(([metadata, cloudevent]) => (cloudevent ? { ...metadata, cloudevent } : metadata))

const eventArbitrary: fc.Arbitrary<RecordedEvent> = fc.record({
  id: nameArbitrary,
  type: nameArbitrary,
  data: fc.oneof(valueArbitrary, fc.uint8Array({ maxLength: 20 }), fc.constant(undefined)),
  metadata: metadataArbitrary,
  tags: fc.uniqueArray(nameArbitrary, { maxLength: 4 }),
  schemaVersion: fc.integer({ min: 1, max: 0x7fffffff }),
  time: fc.oneof(fc.integer({ min: 0, max: 2e12 }), fc.maxSafeInteger()),
  recorded: fc.oneof(fc.integer({ min: 0, max: 2e12 }), fc.maxSafeNat()),
  stream: nameArbitrary,
  revision: fc.oneof(fc.nat(), fc.maxSafeNat()),
  position: fc.integer({ min: 1 }).map((number) => String(number).padStart(16, '0')),
  commit: nameArbitrary,
})

describe('whatever the event', () => {
  it('event, CloudEvent, text, event: the same', () => {
    fc.assert(
      fc.property(eventArbitrary, (event) => {
        const text = JSON.stringify(toCloudEvent(event, { source: SOURCE }))
        expect(fromCloudEvent(parseCloudEvent(text))).toEqual(event)
      }),
      { numRuns: 2000 },
    )
  })

  it('the official package takes it for valid', () => {
    fc.assert(
      fc.property(eventArbitrary, (event) => {
        const cloud = throughJson(toCloudEvent(event, { source: SOURCE }))
        expect(new OfficialCloudEvent(cloud as never).validate()).toBe(true)
      }),
      { numRuns: 1000 },
    )
  })

  it('in binary mode of HTTP it is the same, but for the types of extension attributes', () => {
    fc.assert(
      fc.property(eventArbitrary, (event) => {
        const plain: RecordedEvent = { ...event, metadata: { actor: 'ada', note: 'a b"%\u20ac' } }
        const { headers, body } = cloudEventToHttp(toCloudEvent(plain, { source: SOURCE }))
        for (const value of Object.values(headers)) expect(value).toMatch(/^[\x21-\x7e]+$/)
        expect(fromCloudEvent(cloudEventsFromHttp(headers, body)[0])).toEqual(plain)
      }),
      { numRuns: 500 },
    )
  })
})

describe('a CloudEvent of another producer', () => {
  it('becomes an event that can be appended, with its attributes as metadata', () => {
    expect(fromCloudEvent(FOREIGN)).toEqual({
      id: 'https://other.example/sensors?site=3#hall 4711',
      type: 'com.example.measured',
      data: { celsius: 21.5 },
      tags: [],
      schemaVersion: 1,
      time: Date.parse('2026-01-01T10:00:00.123Z'),
      metadata: {
        comexampleextension1: 'value',
        comexampleothervalue: 5,
        comexampleflag: false,
        cloudevent: {
          id: '4711',
          source: 'https://other.example/sensors?site=3#hall',
          subject: 'sensor-9',
          time: '2026-01-01T12:00:00.1234567+02:00',
          dataschema: 'https://other.example/schemas/measured.json',
          datacontenttype: 'application/json; charset=utf-8',
          sequence: '5',
          partitionkey: 'hall-3',
        },
      },
    })
  })

  it.each<[string, Record<string, unknown>]>([
    ['as it is', {}],
    ['text that is not JSON', { datacontenttype: 'text/xml', data: '<much wow="xml"/>' }],
    ['bytes', { datacontenttype: 'image/png', data: undefined, data_base64: 'AP8H' }],
    ['bytes that are JSON', { data: undefined, data_base64: 'e30=' }],
    ['bytes of no type', { datacontenttype: undefined, data: undefined, data_base64: 'AP8H' }],
    ['text as JSON, without a type', { datacontenttype: undefined, data: "I'm just a string" }],
    ['null', { data: null }],
    ['no data', { data: undefined, datacontenttype: undefined }],
    ['a type and no data', { data: undefined }],
    ['a relative source', { source: '1-555-123-4567' }],
    ['a source that is a mail address', { source: 'mailto:cncf-wg-serverless@lists.cncf.io' }],
    ['no subject', { subject: undefined }],
    ['a leap second', { time: '2016-12-31T23:59:60Z' }],
    ['lower-case time', { time: '1990-01-01t00:00:00z' }],
    ['a long id', { id: 'x'.repeat(1000) }],
    ['attributes with names of ours', { banyanunknown: 'x', schemaurl: 'https://a.example' }],
    ['tracing', { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' }],
    ['correlation', { correlationid: 'c', causationid: 'd' }],
    ['names of JavaScript', { constructor: 'x', hasownproperty: 'y' }],
  ])('goes out as it came: %s', (_name, changes) => {
    const came = throughJson({ ...FOREIGN, ...changes })
    const received = fromCloudEvent(came)
    const recorded = {
      ...PLACED,
      ...received,
      time: received.time ?? PLACED.recorded,
      stream: streamOf(received),
    }
    const out = throughJson(toCloudEvent(recorded, { source: SOURCE }))
    expect(out).toMatchObject(came)
    // And it is still the same event after another time out and in.
    expect(fromCloudEvent(out)).toEqual(recorded)
  })

  it('has null for what is not set', () => {
    const without: Partial<typeof FOREIGN> = { ...FOREIGN }
    delete without.subject
    expect(fromCloudEvent({ ...FOREIGN, subject: null, other: null })).toEqual(fromCloudEvent(without))
  })

  it('has its id only together with its source', () => {
    const ids = ['/a', '/b'].map((source) => fromCloudEvent({ ...FOREIGN, source }).id)
    expect(new Set(ids).size).toBe(2)
  })

  it('goes to the stream that its subject names, else its source', () => {
    expect(streamOf(fromCloudEvent(FOREIGN))).toBe('sensor-9')
    expect(streamOf(fromCloudEvent({ ...FOREIGN, subject: undefined, source: '/s' }))).toBe('/s')
    expect(streamOf(fromCloudEvent({ ...FOREIGN, banyanstream: 'x-1' }))).toBe('x-1')
  })
})

describe('what is not a CloudEvent is refused, with the attribute and what it must be', () => {
  it.each<[string, unknown, RegExp]>([
    ['a list', [], /must be an object, got \[\]/],
    ['null', null, /must be an object/],
    ['no id', { ...FOREIGN, id: undefined }, /it has no id/],
    ['an empty id', { ...FOREIGN, id: '' }, /id must be text that is not empty/],
    ['a number as id', { ...FOREIGN, id: 7 }, /id must be text that is not empty, got 7/],
    ['another version', { ...FOREIGN, specversion: '0.3' }, /specversion must be "1\.0", got "0\.3"/],
    ['no source', { ...FOREIGN, source: null }, /it has no source/],
    ['a source with a space', { ...FOREIGN, source: 'a b' }, /source must be a URI reference/],
    ['a source with a wrong escape', { ...FOREIGN, source: '/a%zz' }, /source must be a URI reference/],
    ['a relative dataschema', { ...FOREIGN, dataschema: '/x' }, /dataschema must be a URI with a scheme/],
    [
      'an impossible time',
      { ...FOREIGN, time: '2026-02-30T00:00:00Z' },
      /time must be a time as in RFC 3339/,
    ],
    ['a time without an offset', { ...FOREIGN, time: '2026-02-03T00:00:00' }, /RFC 3339/],
    [
      'a name with capitals',
      { ...FOREIGN, myExtension: 1 },
      /lower-case letters and digits, got "myExtension"/,
    ],
    ['an object in an extension', { ...FOREIGN, ext: { a: 1 } }, /ext must be text .* got \{"a":1\}/],
    ['a fraction in an extension', { ...FOREIGN, ext: 1.5 }, /ext must be .* got 1\.5/],
    ['a number of 33 bits', { ...FOREIGN, ext: 2 ** 31 }, /ext must be .* got 2147483648/],
    ['a control character', { ...FOREIGN, ext: 'a\u0085b' }, /ext must be text without control characters/],
    ['data twice', { ...FOREIGN, data_base64: 'AAAA' }, /data and data_base64/],
    ['base64 that is none', { ...FOREIGN, data: undefined, data_base64: 'A*' }, /data_base64 must be base64/],
    ['data that its type does not hold', { ...FOREIGN, datacontenttype: 'text/plain' }, /must be text, got/],
    ['a type that is none', { ...FOREIGN, datacontenttype: 'json' }, /datacontenttype must be a media type/],
    [
      'tags that are no list',
      { ...FOREIGN, banyantags: 'a,b' },
      /banyantags must be the JSON text of a list/,
    ],
    ['a revision that is none', { ...FOREIGN, banyanrevision: -1 }, /banyanrevision must be a whole number/],
    [
      'metadata that is no object',
      { ...FOREIGN, banyanmetadata: '[]' },
      /banyanmetadata must be the JSON text/,
    ],
    [
      'names that are numbers',
      { ...FOREIGN, banyanrevision: 0, banyanexact: '{"id":7}' },
      /banyanexact must be/,
    ],
  ])('%s', (_name, event, message) => {
    expect(() => fromCloudEvent(event)).toThrow(message)
    expect(() => fromCloudEvent(event)).toThrow(expect.objectContaining({ code: 'BANYAN_INVALID_EVENT' }))
  })
})

describe('sources', () => {
  // It takes a few more, such as ones with a quote.
  it('that we take are taken by the official package', () => {
    const pieces = fc.oneof(
      fc.string({ minLength: 1, maxLength: 2 }),
      fc.constantFrom('/', '//', ':', '?', '#', '@', '[::1]', '%20', 'urn:', ':80', '\u00e4'),
    )
    fc.assert(
      fc.property(fc.array(pieces, { minLength: 1, maxLength: 8 }), (parts) => {
        const event = { ...FOREIGN, source: parts.join('') }
        fc.pre(isCloudEvent(event))
        expect(new OfficialCloudEvent(event).validate()).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })

  it.each([
    'https://a.example/b?c=d#e',
    'urn:uuid:6e8bc430-9c3a-11d9',
    '/cloudevents/spec/pull/123',
    'a/b',
    '?q',
    '//h/p',
  ])('are absolute or relative: %s', (source) => {
    expect(isCloudEvent({ ...FOREIGN, source })).toBe(true)
  })
})

function isCloudEvent(value: unknown): boolean {
  try {
    checkCloudEvent(value)
    return true
  } catch {
    return false
  }
}

describe('text', () => {
  const text = (data: string): string =>
    `{"specversion":"1.0","id":"1","source":"/s","type":"t","data":${data}}`

  it.each<[string, string, RegExp]>([
    ['a comma too much', '{"id": 1,}', /unexpected "}" where a name in quotes must be at column 10/],
    ['the end too early', '{"id": "a', /the text ends inside a string at column 10/],
    ['a word', 'nonsense', /unexpected "n" where a value must be at column 1/],
    ['more behind the end', '{} {}', /unexpected "{" where the end must be at column 4/],
    ['a tab in a string', '{"a": "x\ty"}', /"\\t" cannot stand in a string at column 9/],
    [
      'several lines',
      '{\n  "a": 1\n  "b": 2\n}',
      /unexpected "\\"" where a comma or } must be at line 3, column 3/,
    ],
    ['a large number', text('9007199254740993'), /the number 9007199254740993 is larger .* at column \d+/],
    ['a large number inside', text('{"a":[1,-12345678901234567890]}'), /the number -12345678901234567890/],
  ])(
    'that is not JSON, or would be read as something else, is refused with its place: %s',
    (_n, json, message) => {
      expect(() => parseCloudEvent(json)).toThrow(message)
    },
  )

  it('keeps numbers that only look large', () => {
    for (const data of [
      '9007199254740992',
      '36458727953916570',
      '"12345678901234567890"',
      '[0.1234567890123456789,1e300]',
    ])
      expect(parseCloudEvent(text(data)).data).toEqual(JSON.parse(data))
  })

  it('that JSON.parse takes is taken, and the other way round', () => {
    const pieces = fc.constantFrom(
      ...['{', '}', '[', ']', ',', ':', '"a"', '"\\u00e4"', '"\\x"', '1', '-0.5e3', '01', 'true', 'nul', ' '],
    )
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
        const json = parts.join('')
        let valid = true
        try {
          JSON.parse(json)
        } catch {
          valid = false
        }
        const ours = (): unknown => parseCloudEventBatch(`[${json}`)
        if (!valid)
          expect(() => parseCloudEvent(json)).toThrow(/not a CloudEvent: .* at column|it is not JSON/)
        else expect(ours).toThrow(/not a CloudEvent/)
      }),
      { numRuns: 2000 },
    )
  })

  it('of a batch is a list, and a mistake in it has its number', () => {
    const batch = JSON.stringify([FOREIGN, toCloudEvent(PLACED, { source: SOURCE })])
    expect(parseCloudEventBatch(batch)).toHaveLength(2)
    expect(parseCloudEventBatch('[]')).toEqual([])
    expect(() => parseCloudEventBatch(JSON.stringify([FOREIGN, {}]))).toThrow(
      /event 1 of the batch: .*no id|specversion/,
    )
    expect(() => parseCloudEventBatch('{}')).toThrow(/a batch must be a list/)
  })
})

describe('the official package', () => {
  const emitted = throughJson(toCloudEvent(PLACED, { source: SOURCE }))

  /** Headers as they arrive. */
  const lower = (headers: Headers): Record<string, string> =>
    Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value)]))

  it('reads what we write, structured', () => {
    const message: Message = { headers: { 'content-type': CLOUDEVENT_JSON }, body: JSON.stringify(emitted) }
    const official = HTTP.toEvent(message) as OfficialCloudEvent<unknown>
    expect(official.validate()).toBe(true)
    expect(throughJson(official)).toEqual(emitted)
  })

  // It does not decode percent-encoding, which the binding asks for since 1.0.2: here is nothing to decode.
  it('reads what we write, binary', () => {
    const plain = { ...PLACED, tags: [], metadata: { actor: 'ada', correlationId: 'request-1' } }
    const { headers, body } = cloudEventToHttp(toCloudEvent(plain, { source: SOURCE }))
    const official = HTTP.toEvent({ headers, body: body }) as OfficialCloudEvent<unknown>
    expect(official.validate()).toBe(true)
    expect(official.data).toEqual(plain.data)
    expect(fromCloudEvent(throughJson(official))).toEqual(plain)
  })

  it('reads what we write, as a batch', () => {
    const message = {
      headers: { 'content-type': CLOUDEVENT_BATCH },
      body: JSON.stringify([emitted, FOREIGN]),
    }
    const official = HTTP.toEvent(message) as OfficialCloudEvent<unknown>[]
    expect(official.map((event) => event.id)).toEqual([PLACED.id, '4711'])
  })

  it('is read by us, structured', () => {
    const official = new OfficialCloudEvent({ ...FOREIGN, time: '2026-01-01T10:00:00.123Z' })
    const { headers, body } = HTTP.structured(official)
    const [read] = cloudEventsFromHttp(lower(headers), body as string)
    expect(fromCloudEvent(read)).toEqual(fromCloudEvent(throughJson(official)))
    expect(fromCloudEvent(read)).toEqual(fromCloudEvent({ ...FOREIGN, time: '2026-01-01T10:00:00.123Z' }))
  })

  it('is read by us, binary: attributes as text, the data as it was', () => {
    const { headers, body } = HTTP.binary(new OfficialCloudEvent(FOREIGN))
    const [read] = cloudEventsFromHttp(lower(headers), body as string)
    expect(read).toEqual({
      ...FOREIGN,
      time: '2026-01-01T10:00:00.123Z',
      comexampleothervalue: '5',
      comexampleflag: 'false',
    })
  })

  it('is read by us from memory, with bytes', () => {
    const official = new OfficialCloudEvent({
      ...FOREIGN,
      datacontenttype: 'image/png',
      data: new Uint8Array([0, 255, 7]),
    })
    expect(fromCloudEvent(official).data).toEqual(new Uint8Array([0, 255, 7]))
  })

  it('and we agree on bytes in both directions', () => {
    const ours = throughJson(
      toCloudEvent({ ...PLACED, data: new Uint8Array([0, 255, 7]) }, { source: SOURCE }),
    )
    const official = HTTP.toEvent({
      headers: { 'content-type': CLOUDEVENT_JSON },
      body: JSON.stringify(ours),
    }) as OfficialCloudEvent<unknown>
    expect(fromCloudEvent(throughJson(official)).data).toEqual(new Uint8Array([0, 255, 7]))
  })
})

describe('messages of HTTP', () => {
  const BINARY = { 'ce-specversion': '1.0', 'ce-id': '1', 'ce-source': '/s', 'ce-type': 't' }

  it('escape and unescape as the binding says', () => {
    const { headers } = cloudEventToHttp({ ...FOREIGN, note: 'Euro \u20ac \u{1f600}' } as CloudEvent)
    expect(headers['ce-note']).toBe('Euro%20%E2%82%AC%20%F0%9F%98%80')
    const [read] = cloudEventsFromHttp({ ...BINARY, 'ce-note': '"a \\"quoted\\" %e2%82%ac 100%"' })
    expect(read?.['note']).toBe('a "quoted" \u20ac 100%')
  })

  it.each<[string, Record<string, string>, string | Uint8Array, RegExp]>([
    ['an overlong escape', { ...BINARY, 'ce-x': '%C0%A0' }, '', /header ce-x is not UTF-8/],
    [
      'a format that is unknown',
      { 'content-type': 'application/cloudevents+avro' },
      '',
      /avro is not understood/,
    ],
    [
      'no CloudEvent at all',
      { 'content-type': 'text/plain' },
      'x',
      /neither the content type .* nor ce- headers/,
    ],
    ['a type in the wrong place', { ...BINARY, 'ce-datacontenttype': 'a/b' }, '', /cannot be a header/],
    [
      'data that is not JSON',
      { ...BINARY, 'content-type': 'application/json' },
      '{',
      /ends where a name in quotes/,
    ],
    ['a body that is not UTF-8', { 'content-type': CLOUDEVENT_JSON }, new Uint8Array([255]), /not UTF-8/],
  ])('are refused: %s', (_name, headers, body, message) => {
    expect(() => cloudEventsFromHttp(headers, body)).toThrow(message)
  })

  it('have data as their type says', () => {
    const data = (type: string | undefined, body: string | Uint8Array): unknown => {
      const headers = type === undefined ? BINARY : { ...BINARY, 'content-type': type }
      return fromCloudEvent(cloudEventsFromHttp(headers, body)[0]).data
    }
    expect(data('application/vnd.x+json; charset=utf-8', '{"a":1}')).toEqual({ a: 1 })
    expect(data('text/plain', 'caf\u00e9')).toBe('caf\u00e9')
    expect(data('image/svg+xml', '<svg/>')).toBe('<svg/>')
    expect(data('text/plain; charset=latin1', new Uint8Array([0xe9]))).toEqual(new Uint8Array([0xe9]))
    expect(data('image/png', new Uint8Array([1, 2]))).toEqual(new Uint8Array([1, 2]))
    expect(data(undefined, 'ab')).toEqual(new Uint8Array([97, 98]))
    expect(data('application/json', '')).toBeUndefined()
    expect(data('text/plain', '')).toBe('')
    expect(data(undefined, '')).toBeUndefined()
  })
})
