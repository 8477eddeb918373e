import { type } from 'arktype'
import * as v from 'valibot'
import { describe, expect, expectTypeOf, test } from 'vitest'
import { z } from 'zod'
import {
  eventTypes,
  openLog,
  type EventLog,
  type EventsOf,
  type EventTransform,
  type EventTypesOptions,
  type NewEvent,
  type NewEventsOf,
  type Recorded,
} from '../index.js'

const order = {
  type: 'object',
  required: ['total'],
  properties: {
    total: { type: 'number', exclusiveMinimum: 0 },
    items: { type: 'array', items: { type: 'string' } },
  },
  additionalProperties: false,
}

function openWith(transform: EventTransform): Promise<EventLog> {
  return openLog('memory:', { transforms: [transform] })
}

function append(log: EventLog, ...events: NewEvent[]): ReturnType<EventLog['append']> {
  return log.append({ streams: [{ stream: 'order-1', events }] })
}

async function all(log: EventLog): Promise<Recorded<{ type: string; data?: unknown }>[]> {
  const events = []
  for await (const event of log.read()) events.push(event)
  return events
}

describe.each([
  ['zod', z.object({ total: z.number().positive() })],
  ['valibot', v.object({ total: v.pipe(v.number(), v.gtValue(0)) })],
  ['arktype', type({ total: 'number > 0' })],
  ['JSON Schema', order],
])('a schema of %s', (_, schema) => {
  test('lets through what it describes', async () => {
    const log = await openWith(eventTypes({ OrderPlaced: schema }))
    await append(log, { type: 'OrderPlaced', data: { total: 3 } })
    expect((await all(log)).map(({ data }) => data)).toEqual([{ total: 3 }])
  })

  test('refuses the whole commit for one event, with stream, type and path', async () => {
    const log = await openWith(eventTypes({ OrderPlaced: schema }))
    const appending = append(
      log,
      { type: 'OrderPlaced', data: { total: 3 } },
      { type: 'OrderPlaced', data: { total: -3 } },
    )
    await expect(appending).rejects.toMatchObject({
      code: 'BANYAN_INVALID_EVENT',
      stream: 'order-1',
      type: 'OrderPlaced',
      schemaVersion: 1,
      problems: [{ path: ['total'] }],
      message: expect.stringMatching(/^OrderPlaced for stream order-1 .*data\.total: /) as string,
    })
    expect(await all(log)).toEqual([])
  })
})

test('every problem is told, with its path', async () => {
  const log = await openWith(eventTypes({ OrderPlaced: order }))
  const failure: unknown = await append(log, {
    type: 'OrderPlaced',
    data: { items: ['a', 2], 'a/b': 1 },
  }).catch((error: unknown) => error)
  expect(failure).toMatchObject({
    problems: [
      { path: ['total'], message: 'is missing' },
      { path: ['a/b'], message: 'is not a property that may be here' },
      { path: ['items', 1], message: 'must be string' },
    ],
    message: expect.stringContaining('data.items[1]: must be string') as string,
  })
})

test('a message names ten problems, the error all of them, and no value', async () => {
  const log = await openWith(eventTypes({ OrderPlaced: order }))
  const items = Array.from({ length: 30 }, () => 4711)
  const failure: unknown = await append(log, { type: 'OrderPlaced', data: { total: 1, items } }).catch(
    (error: unknown) => error,
  )
  expect(failure).toMatchObject({ message: expect.stringMatching(/; and 20 more$/) as string })
  expect((failure as { problems: unknown[] }).problems).toHaveLength(30)
  expect((failure as Error).message).not.toContain('4711')
})

test('large data is told of its first problem only', async () => {
  const log = await openWith(eventTypes({ OrderPlaced: order }))
  const items = Array.from({ length: 30_000 }, () => 4711)
  await expect(append(log, { type: 'OrderPlaced', data: { total: 1, items } })).rejects.toMatchObject({
    problems: [{ path: ['items', 0], message: 'must be string' }],
  })
})

test('an unknown type is refused with the name that was meant, or allowed', async () => {
  const strict = await openWith(eventTypes({ OrderPlaced: order }))
  await expect(append(strict, { type: 'OrderPlacd', data: {} })).rejects.toMatchObject({
    code: 'BANYAN_UNKNOWN_EVENT_TYPE',
    message: 'OrderPlacd for stream order-1 is not a type of the registry, did you mean OrderPlaced?',
  })
  await expect(append(strict, { type: 'constructor' })).rejects.toMatchObject({
    code: 'BANYAN_UNKNOWN_EVENT_TYPE',
  })
  const open = await openWith(eventTypes({ OrderPlaced: order }, { unknown: 'allow' }))
  await append(open, { type: 'OrderPlacd', data: { any: 'thing' } })
  expect(await all(open)).toMatchObject([{ type: 'OrderPlacd', data: { any: 'thing' } }])
})

test('the output of a schema is what is appended', async () => {
  const log = await openWith(eventTypes({ Renamed: z.object({ name: z.string().trim().toUpperCase() }) }))
  await append(log, { type: 'Renamed', data: { name: ' ada ', extra: 1 } })
  expect(await all(log)).toMatchObject([{ data: { name: 'ADA' } }])
})

test('a schema may take its time', async () => {
  const known = z.object({ name: z.string().refine((name) => Promise.resolve(name !== 'nobody')) })
  const log = await openWith(eventTypes({ Renamed: known }))
  await append(log, { type: 'Renamed', data: { name: 'ada' } })
  await expect(append(log, { type: 'Renamed', data: { name: 'nobody' } })).rejects.toMatchObject({
    code: 'BANYAN_INVALID_EVENT',
    problems: [{ path: ['name'] }],
  })
})

test('a JSON Schema looks at what will be stored', async () => {
  const at = { type: 'object', properties: { at: { type: 'string', format: 'date-time' } }, required: ['at'] }
  const log = await openWith(eventTypes({ Shipped: at }))
  await append(log, { type: 'Shipped', data: { at: new Date(0) } })
  expect(await all(log)).toMatchObject([{ data: { at: '1970-01-01T00:00:00.000Z' } }])
  await expect(append(log, { type: 'Shipped', data: { at: undefined } })).rejects.toMatchObject({
    problems: [{ path: ['at'], message: 'is missing' }],
  })
})

test('bytes have no JSON Schema, except the one that says nothing', async () => {
  const log = await openWith(eventTypes({ Scanned: {}, OrderPlaced: { type: 'object' } }))
  await append(log, { type: 'Scanned', data: Uint8Array.of(1, 2) }, { type: 'Scanned' })
  expect((await all(log)).map(({ data }) => data)).toEqual([Uint8Array.of(1, 2), undefined])
  await expect(append(log, { type: 'OrderPlaced', data: Uint8Array.of(1) })).rejects.toMatchObject({
    problems: [{ path: [], message: 'is bytes, not JSON' }],
  })
})

describe('versions', () => {
  const types = eventTypes({
    Renamed: { 1: z.object({ name: z.string() }), 2: z.object({ first: z.string(), last: z.string() }) },
  })

  test('the newest is taken where none is said', async () => {
    const log = await openWith(types)
    await append(log, { type: 'Renamed', data: { first: 'Ada', last: 'L' } })
    await append(log, { type: 'Renamed', schemaVersion: 1, data: { name: 'Ada L' } })
    expect((await all(log)).map(({ schemaVersion }) => schemaVersion)).toEqual([2, 1])
  })

  test('one without a schema is refused', async () => {
    const log = await openWith(types)
    await expect(append(log, { type: 'Renamed', schemaVersion: 3, data: {} })).rejects.toMatchObject({
      code: 'BANYAN_INVALID_EVENT',
      message: 'Renamed for stream order-1 has the schemaVersion 3; its schemas are of 1, 2',
    })
  })
})

describe('with checkReads', () => {
  const checked = { checkReads: true } as const

  async function logWith(event: NewEvent, options: EventTypesOptions): Promise<EventLog> {
    const types = eventTypes({ Shipped: z.object({ at: z.coerce.date() }) }, options)
    // What an older program appended, without a registry.
    const log = await openLog('memory:', { transforms: [{ read: (recorded) => types.read!(recorded) }] })
    await append(log, event)
    return log
  }

  test('what is read is the output of the schema', async () => {
    const log = await logWith({ type: 'Shipped', data: { at: new Date(7) } }, checked)
    expect(await all(log)).toMatchObject([{ data: { at: new Date(7) } }])
  })

  test('what is not as the schema says is told with its place', async () => {
    const log = await logWith({ type: 'Shipped', data: {} }, checked)
    await expect(all(log)).rejects.toMatchObject({
      code: 'BANYAN_INVALID_EVENT',
      message: expect.stringMatching(/^Shipped at position 0*1, order-1@0, is not as/) as string,
    })
  })

  test('an unknown type is told, if such are refused', async () => {
    await expect(all(await logWith({ type: 'Sunk' }, checked))).rejects.toMatchObject({
      code: 'BANYAN_UNKNOWN_EVENT_TYPE',
    })
    const open = await logWith({ type: 'Sunk' }, { ...checked, unknown: 'allow' })
    expect(await all(open)).toMatchObject([{ type: 'Sunk' }])
  })

  test('without it, nothing is looked at', async () => {
    expect(await all(await logWith({ type: 'Shipped', data: { at: 7 } }, {}))).toMatchObject([
      { data: { at: 7 } },
    ])
  })
})

test.each([
  [
    'a keyword that nobody knows',
    { type: 'object', propertees: {} },
    /strict mode: unknown keyword: "propertees"/,
  ],
  ['a format that nobody knows', { type: 'string', format: 'iban' }, /unknown format "iban"/],
  ['a keyword with the wrong value', { type: 'objekt' }, /must be equal to one of the allowed values/],
  ['a reference to nothing', { $ref: 'Nowhere.json' }, /Nowhere\.json/],
  ['another draft', { $schema: 'http://json-schema.org/draft-07/schema#' }, /draft-07.*only/],
])('a JSON Schema with %s is refused when the registry is made', (_, schema, message) => {
  expect(() => eventTypes({ OrderPlaced: schema })).toThrow(
    expect.objectContaining({
      code: 'BANYAN_INVALID_OPTIONS',
      message: expect.stringMatching(message) as string,
    }),
  )
})

test('what is no schema, and unknown options, are refused when the registry is made', () => {
  expect(() => eventTypes({ OrderPlaced: 'object' as never })).toThrow(/the schema of OrderPlaced must be/)
  expect(() => eventTypes({ OrderPlaced: { 1: null as never } })).toThrow(/version 1 of OrderPlaced must be/)
  expect(() => eventTypes({}, { unkown: 'allow' } as never)).toThrow(/did you mean `unknown`/)
})

test('JSON Schemas refer to each other and to definitions', async () => {
  const types = eventTypes(
    {
      Moved: { type: 'object', properties: { to: { $ref: 'Address.json' } } },
      MovedAgain: { $ref: 'Moved.schema.json' },
    },
    { definitions: { 'Address.json': { type: 'object', required: ['city'] } } },
  )
  const log = await openWith(types)
  await append(log, { type: 'Moved', data: { to: { city: 'Pune' } } })
  await expect(append(log, { type: 'MovedAgain', data: { to: {} } })).rejects.toMatchObject({
    problems: [{ path: ['to', 'city'], message: 'is missing' }],
  })
})

test('what is read and appended has the types of the registry', () => {
  const schemas = {
    Placed: z.object({ at: z.date(), total: z.number() }),
    Renamed: { 1: v.object({ name: v.string() }), 2: type({ first: 'string' }) },
    Noted: { type: 'object' },
  } as const
  const types = eventTypes(schemas)
  expect(types.schemas).toBe(schemas)
  type Read = EventsOf<typeof types>
  expectTypeOf<Extract<Read, { type: 'Placed' }>['data']>().toEqualTypeOf<{ at: string; total: number }>()
  expectTypeOf<Extract<Read, { type: 'Renamed' }>['data']>().toEqualTypeOf<
    { name: string } | { first: string }
  >()
  expectTypeOf<Extract<Read, { type: 'Noted' }>['data']>().toBeUnknown()
  expectTypeOf<Read['type']>().toEqualTypeOf<'Placed' | 'Renamed' | 'Noted'>()

  const checked = eventTypes(schemas, { checkReads: true })
  expect(checked.checkReads).toBe(true)
  expectTypeOf<Extract<EventsOf<typeof checked>, { type: 'Placed' }>['data']['at']>().toEqualTypeOf<Date>()

  const events: NewEventsOf<typeof types>[] = [
    { type: 'Placed', data: { at: new Date(), total: 1 }, tags: ['a'] },
    { type: 'Renamed', data: { first: 'Ada' } },
    { type: 'Renamed', data: { name: 'Ada' }, schemaVersion: 1 },
    { type: 'Noted' },
    // @ts-expect-error an older version has to be told
    { type: 'Renamed', data: { name: 'Ada' } },
    // @ts-expect-error the wrong data
    { type: 'Placed', data: { at: new Date(), total: '1' } },
    // @ts-expect-error the wrong type
    { type: 'Placde', data: {} },
  ]
  expect(events).toHaveLength(7)
})
