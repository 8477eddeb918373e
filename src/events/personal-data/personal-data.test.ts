import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { memoryLog } from '../../drivers/memory/log.js'
import type { LogDriver } from '../driver.js'
import {
  eventTypes,
  openLog,
  openSubjectKeys,
  personalData,
  type EventLog,
  type NewEvent,
  type PersonalDataOptions,
  type RecordedEvent,
  type SubjectKeys,
} from '../index.js'
import { exportEvents, importEvents } from '../transfer/index.js'

const registered = {
  CustomerRegistered: { subject: 'id', fields: ['name', 'address.street', 'phones.*', 'email?'] },
}
const ada = {
  id: 'c7',
  name: 'Ada Lovelace',
  address: { street: 'St James Square 12', city: 'London' },
  phones: ['+44 1', '+44 2'],
}

interface Setup {
  readonly log: EventLog
  /** The same log as it is stored. */
  readonly raw: EventLog
  readonly keys: SubjectKeys
}

async function setUp(
  options: Partial<PersonalDataOptions> = {},
  driver: LogDriver = memoryLog(),
): Promise<Setup> {
  const keys = options.keys ?? (await openSubjectKeys('memory:'))
  const personal = personalData({ types: registered, ...options, keys })
  return { log: await openLog(driver, { transforms: [personal] }), raw: await openLog(driver), keys }
}

function append(log: EventLog, ...events: NewEvent[]): ReturnType<EventLog['append']> {
  return log.append({ streams: [{ stream: 'customer-c7', events }] })
}

function register(data: unknown = ada): NewEvent {
  return { type: 'CustomerRegistered', data }
}

async function all(log: EventLog): Promise<RecordedEvent[]> {
  const events: RecordedEvent[] = []
  for await (const event of log.read()) events.push(event)
  return events
}

async function only(log: EventLog): Promise<RecordedEvent> {
  const events = await all(log)
  expect(events).toHaveLength(1)
  return events[0]!
}

/** The event as it would come out of an export of the stored log. */
function stored({ type, data, metadata }: RecordedEvent): NewEvent {
  return { type, data, metadata }
}

test('what is personal is stored encrypted and read as it was', async () => {
  const { log, raw } = await setUp()
  await append(log, { ...register(), metadata: { actor: 'shop' } })
  const there = JSON.stringify(await only(raw))
  for (const text of ['Ada', 'St James', '+44']) expect(there).not.toContain(text)
  expect(there).toContain('London')
  expect(await only(log)).toMatchObject({ data: ada, metadata: { actor: 'shop' } })
  expect((await only(log)).metadata).toEqual({ actor: 'shop' })
})

test('in the place of what is encrypted stands null, so that the rest keeps its form', async () => {
  const { log, raw } = await setUp()
  await append(log, register())
  expect((await only(raw)).data).toEqual({
    id: 'c7',
    name: null,
    address: { street: null, city: 'London' },
    phones: [null, null],
  })
})

test('other types, and what was appended before there were keys, are left alone', async () => {
  const { log, raw } = await setUp()
  await append(raw, register())
  await append(log, { type: 'Noted', data: ada })
  expect((await all(log)).map(({ data }) => data)).toEqual([ada, ada])
})

test('the event that is given stays as it is', async () => {
  const { log } = await setUp()
  const event = register(structuredClone(ada))
  await append(log, event)
  expect(event).toEqual(register())
})

test('metadata may be personal too', async () => {
  const { log, raw } = await setUp({ types: { Noted: { subject: 'id', metadata: ['actor', 'ip?'] } } })
  await append(log, { type: 'Noted', data: { id: 'c7' }, metadata: { actor: 'Ada', correlationId: 'x' } })
  expect((await only(raw)).metadata).toMatchObject({ actor: null, correlationId: 'x' })
  expect((await only(log)).metadata).toEqual({ actor: 'Ada', correlationId: 'x' })
})

test('the subject may come from elsewhere than the data, and be a number', async () => {
  const named = await setUp({
    types: { Renamed: { subject: (_, stream) => stream.slice('customer-'.length), fields: ['name'] } },
  })
  await append(named.log, { type: 'Renamed', data: { name: 'Ada' } })
  expect(await named.keys.get('c7')).toHaveProperty('id')
  const numbered = await setUp()
  await append(numbered.log, register({ ...ada, id: 7 }))
  expect(await numbered.keys.get('7')).toHaveProperty('id')
})

test('what is looked at is what JSON makes of the data', async () => {
  class Customer {
    readonly #name = 'Ada'
    toJSON(): unknown {
      return { id: 'c7', name: this.#name, born: new Date(0) }
    }
  }
  const { log, raw } = await setUp({ types: { Met: { subject: 'id', fields: ['name', 'born'] } } })
  await append(log, { type: 'Met', data: new Customer() })
  expect((await only(raw)).data).toEqual({ id: 'c7', name: null, born: null })
  expect((await only(log)).data).toEqual({ id: 'c7', name: 'Ada', born: '1970-01-01T00:00:00.000Z' })
})

test('equal values do not look equal', async () => {
  const { log, raw } = await setUp()
  await append(log, register({ ...ada, phones: ['+44 1', '+44 1'] }), register())
  const ciphertexts = (await all(raw)).flatMap(({ metadata }) =>
    Object.values((metadata['$personalData'] as { data: Record<string, string> }).data),
  )
  expect(new Set(ciphertexts).size).toBe(8)
})

describe('once a subject is forgotten', () => {
  test.each<[string, Partial<PersonalDataOptions>, unknown]>([
    ['null', {}, null],
    ['a value', { whenForgotten: 'forgotten' }, 'forgotten'],
    [
      'what a function makes',
      {
        whenForgotten: ({ subject, pointer }: { subject: string; pointer: string }) => `${subject}${pointer}`,
      },
      'c7/name',
    ],
  ])('its fields are read as %s', async (_, options, name) => {
    const { log, keys } = await setUp(options)
    await append(log, register())
    expect(await keys.forget('c7')).toBe(true)
    const { data, metadata } = await only(log)
    expect(data).toMatchObject({ id: 'c7', name, address: { city: 'London' } })
    expect(metadata).toEqual({})
  })

  test('others are read as ever', async () => {
    const { log, keys } = await setUp()
    await append(log, register(), register({ ...ada, id: 'c8' }))
    await keys.forget('c7')
    expect((await all(log)).map(({ data }) => (data as typeof ada).name)).toEqual([null, 'Ada Lovelace'])
  })

  test('nothing personal of it is taken any more', async () => {
    const { log, keys } = await setUp({ types: { Renamed: { subject: 'id', fields: ['name?'] } } })
    await keys.forget('c7')
    await expect(append(log, { type: 'Renamed', data: { id: 'c7', name: 'Ada' } })).rejects.toMatchObject({
      code: 'BANYAN_SUBJECT_FORGOTTEN',
    })
    expect(await append(log, { type: 'Renamed', data: { id: 'c7' } })).toMatchObject({ ok: true })
  })
})

test.each<[string, NewEvent, string]>([
  ['a field is missing', register({ ...ada, name: undefined }), 'has no data.name, which is to be encrypted'],
  ['a field in a field is missing', register({ ...ada, address: 'London' }), 'has no data.address.street'],
  ['the subject is missing', register({ ...ada, id: undefined }), 'the subject of CustomerRegistered'],
  ['the subject is not a name', register({ ...ada, id: {} }), 'the subject of CustomerRegistered'],
  ['data is bytes', register(Uint8Array.of(1)), 'bytes as data'],
  ['there is no data', { type: 'CustomerRegistered' }, 'has no data.name'],
])('an event is refused if %s', async (_, event, message) => {
  const { log } = await setUp()
  await expect(append(log, event)).rejects.toMatchObject({
    code: 'BANYAN_INVALID_EVENT',
    message: expect.stringContaining(message) as string,
  })
  expect(await all(log)).toEqual([])
})

describe('a ciphertext', () => {
  async function read(
    change: (event: NewEvent & { data: typeof ada; metadata: Sealed }) => NewEvent,
  ): Promise<unknown> {
    const { log, raw, keys } = await setUp({
      types: { ...registered, Renamed: registered.CustomerRegistered },
    })
    await keys.create('c8')
    await append(log, register())
    const event = structuredClone(stored(await only(raw))) as NewEvent & {
      data: typeof ada
      metadata: Sealed
    }
    await append(raw, change(event))
    return all(log)
  }
  interface Sealed extends Record<string, unknown> {
    $personalData: { subject: string; key: string; data: Record<string, string> }
  }

  test.each<[string, Parameters<typeof read>[0], string]>([
    [
      'that was changed',
      (event) => {
        const { data } = event.metadata.$personalData
        const bytes = Buffer.from(data['/name']!, 'base64url')
        bytes[15]! ^= 1
        data['/name'] = bytes.toString('base64url')
        return event
      },
      'data/name of CustomerRegistered at position 0000000000000002, customer-c7@1 does not decrypt',
    ],
    [
      'that was cut',
      (event) => {
        event.metadata.$personalData.data['/name'] = 'abcd'
        return event
      },
      'does not decrypt',
    ],
    [
      'that was moved to another field',
      (event) => {
        const { data } = event.metadata.$personalData
        data['/name'] = data['/address/street']!
        return event
      },
      'does not decrypt',
    ],
    ['that was moved to another type', (event) => ({ ...event, type: 'Renamed' }), 'does not decrypt'],
    [
      'whose place is gone',
      (event) => ({ ...event, data: { ...event.data, address: null } }),
      'data/address/street of CustomerRegistered at position 0000000000000002, customer-c7@1 has no place',
    ],
    [
      'whose header is none',
      (event) => ({ ...event, metadata: { $personalData: { version: 2 } } }),
      'metadata.$personalData',
    ],
  ])('%s is an error, never null', async (_, change, message) => {
    await expect(read(change)).rejects.toMatchObject({
      code: 'BANYAN_PERSONAL_DATA_CORRUPT',
      message: expect.stringContaining(message) as string,
    })
  })

  test('that was moved to another subject is an error', async () => {
    const moved = read((event) => {
      event.metadata.$personalData.subject = 'c8'
      return event
    })
    await expect(moved).rejects.toMatchObject({ code: 'BANYAN_SUBJECT_KEY_UNAVAILABLE' })
  })

  test('whose key is not in the store is an error, never null', async () => {
    const driver = memoryLog()
    const { log } = await setUp({}, driver)
    await append(log, register())
    const other = await setUp({}, driver)
    await expect(all(other.log)).rejects.toMatchObject({
      code: 'BANYAN_SUBJECT_KEY_UNAVAILABLE',
      message: expect.stringContaining('which the store of keys does not have') as string,
    })
    await other.keys.create('c7')
    await expect(all(other.log)).rejects.toThrow(/but the store of keys has/)
  })
})

describe('what was stored encrypted and is appended again', () => {
  test('is kept as it is, if it decrypts', async () => {
    const { log, raw, keys } = await setUp()
    await append(log, register())
    const event = stored(await only(raw))
    const copy = await setUp({ keys })
    await append(copy.log, event)
    expect(stored(await only(copy.raw))).toEqual(event)
    expect((await only(copy.log)).data).toEqual(ada)
    await expect(append(copy.log, { ...event, type: 'Renamed' })).rejects.toMatchObject({
      code: 'BANYAN_PERSONAL_DATA_CORRUPT',
    })
  })

  test('is kept as it is, if it was forgotten', async () => {
    const { log, raw, keys } = await setUp()
    await append(log, register())
    const event = stored(await only(raw))
    await keys.forget('c7')
    const copy = await setUp({ keys })
    await append(copy.log, event)
    expect((await only(copy.log)).data).toMatchObject({ name: null })
  })

  test('has the fields encrypted that are personal by now', async () => {
    const { log, raw, keys } = await setUp({ types: { Moved: { subject: 'id', fields: ['to.street'] } } })
    await append(log, { type: 'Moved', data: { id: 'c7', name: 'Ada', to: { street: 'S', city: 'C' } } })
    const event = stored(await only(raw))
    const copy = await setUp({ keys, types: { Moved: { subject: 'id', fields: ['to', 'name'] } } })
    await append(copy.log, event)
    expect((await only(copy.raw)).data).toEqual({ id: 'c7', name: null, to: null })
    expect((await only(copy.log)).data).toEqual({ id: 'c7', name: 'Ada', to: { street: 'S', city: 'C' } })
    await keys.forget('c7')
    expect((await only(copy.log)).data).toEqual({ id: 'c7', name: null, to: null })
  })
})

test('what is encrypted is read also when its field is not configured any more', async () => {
  const driver = memoryLog()
  const { log, keys } = await setUp({}, driver)
  await append(log, register())
  const later = await setUp({ keys, types: {} }, driver)
  expect((await only(later.log)).data).toEqual(ada)
})

test('types see what the application sees, on the way in and out', async () => {
  const customer = z.object({ id: z.string(), name: z.string().min(1).nullable() })
  const types = eventTypes({ Met: customer }, { checkReads: true })
  const keys = await openSubjectKeys('memory:')
  const personal = personalData({ keys, types: { Met: { subject: 'id', fields: ['name'] } } })
  const log = await openLog('memory:', { transforms: [types, personal] })
  await append(log, { type: 'Met', data: { id: 'c7', name: 'Ada' } })
  expect(await only(log)).toMatchObject({ data: { id: 'c7', name: 'Ada' } })
  await expect(append(log, { type: 'Met', data: { id: 'c7', name: '' } })).rejects.toThrow('data.name')
  await keys.forget('c7')
  expect(await only(log)).toMatchObject({ data: { id: 'c7', name: null } })
})

test('whatever is encrypted, in whatever places, is read as it was, and none of it is stored', async () => {
  const name = fc.oneof(fc.constantFrom('a', 'b', '__proto__', 'a/b', '~0', ''), fc.string())
  const leaf = fc.oneof(
    fc.string().map((text) => `secret ${text}`),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
  )
  const { json } = fc.letrec((tie) => ({
    json: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      leaf,
      fc.array(tie('json'), { maxLength: 4 }),
      fc.dictionary(name, tie('json'), { maxKeys: 4 }),
    ),
  }))
  const path = fc.array(fc.constantFrom('a', 'b', '*', '__proto__', '0'), { minLength: 1, maxLength: 4 })
  await fc.assert(
    fc.asyncProperty(json, fc.array(path, { maxLength: 4 }), async (value, paths) => {
      const fields = ['v', ...paths.map((parts) => ['w', ...parts].join('.'))].map((text) => `${text}?`)
      const { log, raw, keys } = await setUp({ types: { Any: { subject: 'id', fields } } })
      const data = JSON.parse(JSON.stringify({ id: 'c7', v: value, w: value })) as object
      await append(log, { type: 'Any', data })
      expect((await only(log)).data).toStrictEqual(data)
      expect((await only(raw)).data).toMatchObject({ id: 'c7', v: null })
      if (paths.some((parts) => parts.join() === '*') && typeof value === 'object')
        expect(JSON.stringify(await only(raw))).not.toContain('"secret ')
      await keys.forget('c7')
      expect((await only(log)).data).toEqual((await only(raw)).data)
    }),
    { numRuns: 300 },
  )
})

test.each<[string, unknown, string]>([
  ['keys', { types: {} }, 'keys are missing'],
  ['a subject', { types: { A: { fields: ['name'] } } }, 'types.A has no subject'],
  ['fields', { types: { A: { subject: 'id' } } }, 'types.A has neither fields nor metadata'],
  ['a right path', { types: { A: { subject: 'id', fields: ['a..b'] } } }, 'a field of A must be a path'],
  ['a subject that is not personal', { types: { A: { subject: 'id', fields: ['id'] } } }, 'among its fields'],
  ['known options', { types: { A: { subject: 'id', feilds: [] } } }, 'did you mean `fields`'],
])('without %s it is not made', async (missing, options, message) => {
  const keys = missing === 'keys' ? {} : { keys: await openSubjectKeys('memory:') }
  expect(() => personalData({ ...keys, ...(options as object) } as never)).toThrow(
    expect.objectContaining({
      code: 'BANYAN_INVALID_OPTIONS',
      message: expect.stringContaining(message) as string,
    }),
  )
})

describe('an export', () => {
  async function lines(log: EventLog): Promise<string[]> {
    const exported: string[] = []
    for await (const line of exportEvents(log, { source: '/shop' })) exported.push(line)
    return exported
  }

  test('of the stored log holds nothing readable, and its copy opens with the same keys', async () => {
    const { log, raw, keys } = await setUp()
    await append(log, { ...register(), metadata: { actor: 'shop' } })
    const exported = await lines(raw)
    expect(exported.join()).not.toContain('Lovelace')
    const copy = await setUp({ keys })
    await importEvents(copy.raw, exported)
    expect({ ...(await only(copy.log)), recorded: 0 }).toEqual({ ...(await only(log)), recorded: 0 })
    await keys.forget('c7')
    expect((await only(copy.log)).data).toMatchObject({ name: null })
  })

  test('of what is read is encrypted with other keys where it is imported', async () => {
    const { log } = await setUp()
    await append(log, register())
    const exported = await lines(log)
    expect(exported.join()).toContain('Lovelace')
    const copy = await setUp()
    await importEvents(copy.log, exported)
    expect(JSON.stringify(await only(copy.raw))).not.toContain('Lovelace')
    expect((await only(copy.log)).data).toEqual(ada)
  })
})
