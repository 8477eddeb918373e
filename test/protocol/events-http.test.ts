import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { closeAll } from '../support/gateway.js'
import { cloudEvent, startEvents, structured } from '../support/events-node.js'

afterEach(closeAll)

interface Problem {
  type: string
  status: number
  detail: string
  conflicts?: object[]
  problems?: object[]
}

interface Event {
  id: string
  type: string
  data?: unknown
  banyanstream: string
  banyanrevision: number
  banyanposition: string
  [extension: string]: unknown
}

const problemOf = async (answer: Response): Promise<[number, string]> => {
  expect(answer.headers.get('content-type')).toBe('application/problem+json')
  const { type, status } = (await answer.json()) as Problem
  expect(answer.status).toBe(status)
  return [status, type.replace('urn:banyan:problem:', '')]
}

const eventsOf = async (answer: Response): Promise<Event[]> => {
  expect(answer.status).toBe(200)
  return (await answer.json()) as Event[]
}

const commit = (value: unknown, headers: Record<string, string> = {}) => ({
  method: 'POST',
  headers: { 'content-type': 'application/json', ...headers },
  body: typeof value === 'string' ? value : JSON.stringify(value),
})

describe('appending', () => {
  test('a CloudEvent in structured mode, and is told where it is', async () => {
    const { ask } = await startEvents()
    const answer = await ask('/streams/order-1', structured('a'))
    expect(answer.status).toBe(201)
    expect(answer.headers.get('location')).toBe('/events/streams/order-1')
    expect(answer.headers.get('stream-revision')).toBe('0')
    const result = (await answer.json()) as { position: string }
    expect(result).toEqual({
      id: '/test a',
      position: answer.headers.get('log-position'),
      streams: [{ stream: 'order-1', revision: 0 }],
      duplicate: false,
    })
    const [event] = await eventsOf(await ask('/streams/order-1'))
    expect(event).toMatchObject({
      specversion: '1.0',
      id: 'a',
      source: '/test',
      type: 'Happened',
      data: { id: 'a' },
      banyanstream: 'order-1',
      banyanrevision: 0,
      banyanposition: result.position,
      actor: 'till',
    })
  })

  test('a CloudEvent in binary mode: text, bytes, JSON, nothing', async () => {
    const { ask } = await startEvents()
    const send = async (id: string, type: string | undefined, body?: string | Uint8Array<ArrayBuffer>) => {
      const attributes = {
        'ce-specversion': '1.0',
        'ce-id': id,
        'ce-source': '/test',
        'ce-type': 'Se%C3%B1al',
      }
      const headers = { ...attributes, ...(type && { 'content-type': type }) }
      const answer = await ask('/streams/signal-1', { method: 'POST', headers, ...(body && { body }) })
      expect(answer.status).toBe(201)
    }
    await send('json', 'application/json', '{"a":[1]}')
    await send('text', 'text/plain', 'grüße')
    await send('bytes', 'application/octet-stream', Buffer.from([0, 255, 7]))
    await send('nothing', undefined)
    const [json, text, bytes, nothing] = await eventsOf(await ask('/streams/signal-1'))
    expect(json).toMatchObject({ type: 'Señal', data: { a: [1] } })
    expect(text).toMatchObject({ datacontenttype: 'text/plain', data: 'grüße' })
    expect(bytes).toMatchObject({ data_base64: Buffer.from([0, 255, 7]).toString('base64') })
    expect(nothing!.data).toBeUndefined()
  })

  test('a batch is one commit over several streams, all of it or nothing', async () => {
    const { ask } = await startEvents()
    const batch = (...events: string[]) => ({
      method: 'POST',
      headers: { 'content-type': 'application/cloudevents-batch+json' },
      body: `[${events.join(',')}]`,
    })
    const of = (id: string, stream: string) => cloudEvent(id, { banyanstream: stream })
    const answer = await ask('', batch(of('a', 'order-1'), of('b', 'stock-1'), of('c', 'order-1')))
    expect(answer.status).toBe(201)
    expect(await answer.json()).toMatchObject({
      streams: [
        { stream: 'order-1', revision: 1 },
        { stream: 'stock-1', revision: 0 },
      ],
    })
    const wrong = await ask('', batch(of('d', 'order-1'), of('e', '')))
    expect(await problemOf(wrong)).toEqual([400, 'invalid-cloudevent'])
    expect(await eventsOf(await ask(''))).toHaveLength(3)
    expect(await problemOf(await ask('', batch()))).toEqual([400, 'invalid-cloudevent'])
  })

  test('a commit in the words of the library, with what is expected and checked', async () => {
    const { ask } = await startEvents()
    const placed = {
      id: 'request-1',
      streams: [
        {
          stream: 'order-1',
          expected: 'none',
          events: [
            { type: 'OrderPlaced', data: { total: 3 }, tags: ['customer:7'], schemaVersion: 2, time: 1000 },
          ],
        },
        { stream: 'stock-1', events: [{ type: 'Reserved', dataBase64: 'AP8=' }] },
      ],
      checks: [{ stream: 'customer-7', expected: 'none' }],
    }
    expect((await ask('', commit(placed))).status).toBe(201)
    const again = await ask('', commit(placed))
    expect([again.status, await again.json()]).toMatchObject([200, { id: 'request-1', duplicate: true }])
    const [event] = await eventsOf(await ask('?tag=customer:7'))
    expect(event).toMatchObject({ time: '1970-01-01T00:00:01.000Z', banyanschemaversion: 2 })
    const onlyCheck = await ask('', commit({ checks: [{ stream: 'order-1', expected: 0 }] }))
    expect(onlyCheck.status).toBe(200)
  })

  test('every stream that is not as expected is told, and nothing is appended', async () => {
    const { ask } = await startEvents()
    await ask('/streams/order-1', structured('a'))
    const answer = await ask(
      '',
      commit({
        streams: [
          { stream: 'order-1', expected: 'none', events: [{ type: 'A' }] },
          { stream: 'order-2', expected: 4, events: [{ type: 'A' }] },
        ],
        checks: [{ stream: 'order-3', expected: 'exists' }],
      }),
    )
    const problem = (await answer.clone().json()) as Problem
    expect(await problemOf(answer)).toEqual([409, 'revision-conflict'])
    expect(problem.conflicts).toEqual([
      { stream: 'order-1', expected: 'none', actual: 0 },
      { stream: 'order-2', expected: 4, actual: 'none' },
      { stream: 'order-3', expected: 'exists', actual: 'none' },
    ])
    expect(await eventsOf(await ask(''))).toHaveLength(1)
  })

  test.each([
    ['none', 409],
    ['0', 201],
    ['1', 409],
    ['exists', 201],
    ['any', 201],
    ['-1', 400],
    ['latest', 400],
  ])('Expected-Revision: %s at revision 0 is answered with %i', async (expected, status) => {
    const { ask } = await startEvents()
    await ask('/streams/order-1', structured('a'))
    const answer = await ask('/streams/order-1', structured('b', { 'expected-revision': expected }))
    expect(answer.status).toBe(status)
  })

  test('the same Idempotency-Key gives the first result, whatever is expected; another commit under it is refused', async () => {
    const { ask } = await startEvents()
    const headers = { 'idempotency-key': '"k-1"', 'expected-revision': 'none' }
    const first = await (await ask('/streams/order-1', structured('a', headers))).json()
    const again = await ask('/streams/order-1', structured('a', headers))
    expect(again.status).toBe(200)
    expect(await again.json()).toEqual({ ...(first as object), duplicate: true })
    const other = await ask('/streams/order-2', structured('b', headers))
    expect(await problemOf(other)).toEqual([409, 'commit-overlap'])
  })

  test('a CloudEvent that comes twice is there once', async () => {
    const { ask } = await startEvents()
    expect((await ask('/streams/order-1', structured('a'))).status).toBe(201)
    expect((await ask('/streams/order-1', structured('a'))).status).toBe(200)
    // Other producers may have the same ids.
    const other = structured('a', {}, { source: '/elsewhere' })
    expect((await ask('/streams/order-1', other)).status).toBe(201)
    expect(await eventsOf(await ask('/streams/order-1'))).toHaveLength(2)
  })

  test('nobody acts in the name of somebody else, unless the route says so', async () => {
    const strict = await startEvents()
    const forged = structured('a', {}, { actor: 'boss' })
    expect(await problemOf(await strict.ask('/streams/order-1', forged))).toEqual([403, 'actor-not-caller'])
    const own = structured('a', {}, { actor: 'till' })
    expect((await strict.ask('/streams/order-1', own)).status).toBe(201)
    const trusting = await startEvents({ actor: 'given' })
    expect((await trusting.ask('/streams/order-1', forged)).status).toBe(201)
    expect(await eventsOf(await trusting.ask(''))).toMatchObject([{ actor: 'boss' }])
  })

  test('events belong to the trace of the request', async () => {
    const { ask } = await startEvents()
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    await ask('/streams/order-1', structured('a', { traceparent }))
    const [event] = await eventsOf(await ask(''))
    expect(event!['traceparent']).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-/)
  })

  test.each<[string, Omit<RequestInit, 'headers'> & { headers?: Record<string, string> }, [number, string]]>([
    ['nothing that says what it is', { method: 'POST', body: 'x' }, [415, 'unsupported-media-type']],
    ['what is not JSON', commit('{"streams":'), [400, 'invalid-commit']],
    ['a number that JavaScript would round', commit('{"streams":[{"stream":"a","events":[{"type":"A","data":12345678901234567890}]}]}'), [400, 'invalid-commit']],
    ['a list', commit([]), [400, 'invalid-commit']],
    ['an unknown key', commit({ steams: [] }), [400, 'invalid-commit']],
    ['events that are none', commit({ streams: [{ stream: 'a', events: [null] }] }), [400, 'invalid-commit']],
    ['no events', commit({ streams: [{ stream: 'a', events: [] }] }), [400, 'invalid-commit']],
    ['a stream twice', commit({ streams: [1, 2].map(() => ({ stream: 'a', events: [{ type: 'A' }] })) }), [400, 'invalid-commit']],
    ['bytes that are no base64', commit({ streams: [{ stream: 'a', events: [{ type: 'A', dataBase64: '!' }] }] }), [400, 'invalid-commit']],
    ['an event without a type', commit({ streams: [{ stream: 'a', events: [{ type: '' }] }] }), [422, 'invalid-event']],
    ['a CloudEvent without a source', structured('a', {}, { source: undefined, banyanstream: 'a' }), [400, 'invalid-cloudevent']],
    ['a CloudEvent of a version to come', structured('a', {}, { specversion: '2.0' }), [400, 'invalid-cloudevent']],
    ['a CloudEvent without a stream', structured('a'), [400, 'no-stream']],
    ['an expectation of several streams', commit({ streams: ['a', 'b'].map((stream) => ({ stream, events: [{ type: 'A' }] })) }, { 'expected-revision': '1' }), [400, 'invalid-commit']],
    ['two ids of one commit', commit({ id: 'a' }, { 'idempotency-key': 'b' }), [400, 'invalid-commit']],
  ])('%s is refused', async (_name, init, expected) => {
    const { ask } = await startEvents()
    expect(await problemOf(await ask('', init))).toEqual(expected)
    expect(await eventsOf(await ask(''))).toEqual([])
  }) // prettier-ignore

  test('what is too large is refused, whether the event, the commit or the body', async () => {
    const { ask } = await startEvents(
      {},
      { events: { driver: 'memory', limits: { eventBytes: 1000, commitBytes: 5000, commitEvents: 3 } } },
    )
    const events = (count: number, bytes: number) =>
      commit({
        streams: [
          {
            stream: 'a',
            events: Array.from({ length: count }, () => ({ type: 'A', data: 'x'.repeat(bytes) })),
          },
        ],
      })
    expect(await problemOf(await ask('', events(1, 1001)))).toEqual([413, 'event-too-large'])
    expect(await problemOf(await ask('', events(4, 1)))).toEqual([413, 'event-too-large'])
    expect(await problemOf(await ask('', events(1, 6000)))).toEqual([413, 'body-too-large'])
    expect((await ask('', events(3, 900))).status).toBe(201)
  })

  test('whatever is sent is answered, and only what was acknowledged is there', async () => {
    const { ask } = await startEvents()
    const revisions = new Map<string, number>()
    const anything = fc.oneof(
      fc.jsonValue().map((value) => JSON.stringify(value)),
      fc.string(),
      fc
        .record(
          {
            id: fc.oneof(fc.string(), fc.integer()),
            streams: fc.array(
              fc.record(
                {
                  stream: fc.oneof(fc.string(), fc.constant('order-1')),
                  expected: fc.oneof(fc.constantFrom('any', 'none', 'exists'), fc.integer(), fc.jsonValue()),
                  events: fc.array(
                    fc.record(
                      { type: fc.string(), data: fc.jsonValue(), tags: fc.jsonValue() },
                      { requiredKeys: [] },
                    ),
                  ),
                },
                { requiredKeys: [] },
              ),
            ),
          },
          { requiredKeys: [] },
        )
        .map((value) => JSON.stringify(value)),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(
          'application/json',
          'application/cloudevents+json',
          'application/cloudevents-batch+json',
        ),
        anything,
        async (type, body) => {
          const answer = await ask('', { method: 'POST', headers: { 'content-type': type }, body })
          expect([200, 201, 400, 409, 413, 422]).toContain(answer.status)
          const result = (await answer.json()) as { streams: { stream: string; revision: number }[] }
          if (answer.ok) for (const { stream, revision } of result.streams) revisions.set(stream, revision)
        },
      ),
      { numRuns: 200 },
    )
    const lines = await (await ask('', { headers: { accept: 'application/x-ndjson' } })).text()
    const there = [...revisions.values()].reduce((sum, revision) => sum + revision + 1, 0)
    expect(lines.split('\n').length - 1).toBe(there)
  })
})

describe('reading', () => {
  const fill = async (ask: Awaited<ReturnType<typeof startEvents>>['ask']): Promise<string[]> => {
    const positions: string[] = []
    for (let index = 0; index < 10; index++) {
      const stream = `${index % 2 ? 'order' : 'stock'}-${index % 4}`
      const event = { type: index % 3 ? 'A' : 'B', data: index, tags: [`tag:${index % 5}`] }
      const answer = await ask('', commit({ streams: [{ stream, events: [event] }] }))
      positions.push(answer.headers.get('log-position')!)
    }
    return positions
  }
  const dataOf = async (answer: Response): Promise<unknown[]> =>
    (await eventsOf(answer)).map(({ data }) => data)

  test('the log, a stream, a category, types and tags', async () => {
    const { ask } = await startEvents()
    await fill(ask)
    expect(await dataOf(await ask(''))).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(await dataOf(await ask('/streams/order-1'))).toEqual([1, 5, 9])
    expect(await dataOf(await ask('?stream=order-1'))).toEqual([1, 5, 9])
    expect(await dataOf(await ask('?category=stock'))).toEqual([0, 2, 4, 6, 8])
    expect(await dataOf(await ask('?type=B'))).toEqual([0, 3, 6, 9])
    expect(await dataOf(await ask('?type=A&type=B&tag=tag:1'))).toEqual([1, 6])
    expect(await dataOf(await ask('/streams/order-1?fromRevision=1&toRevision=1'))).toEqual([5])
    expect(await dataOf(await ask('?backwards=true&limit=2'))).toEqual([9, 8])
    expect(await dataOf(await ask('/streams/nothing-1'))).toEqual([])
  })

  test.each([
    '?limit=3',
    '?limit=3&backwards=true',
    '?category=order&limit=2',
    '/streams/order-1?limit=1&backwards=true',
  ])('page by page it is the same as all at once: %s', async (path) => {
    const { ask } = await startEvents()
    await fill(ask)
    const all = await dataOf(await ask(path.replace(/limit=\d/, 'limit=1000')))
    const found: unknown[] = []
    for (let next: string | undefined = path; next !== undefined;) {
      const answer: Response = await ask(next)
      next = /^<\/events(.*)>; rel="next"$/.exec(answer.headers.get('link') ?? '')?.[1]
      found.push(...(await dataOf(answer)))
    }
    expect(found).toEqual(all)
  })

  test('the position of a page leads to what comes after it', async () => {
    const { ask } = await startEvents()
    const positions = await fill(ask)
    const page = await ask('?limit=4')
    expect(page.headers.get('log-position')).toBe(positions[3])
    const rest = await ask(`?from=${positions[3]!}&type=nothing`)
    expect(await dataOf(rest)).toEqual([])
    expect(rest.headers.get('log-position')).toBe(positions[9])
    expect(rest.headers.get('link')).toBeNull()
    expect(await dataOf(await ask(`?from=${positions[1]!}&to=${positions[3]!}`))).toEqual([2, 3])
  })

  test('as lines, all there are', async () => {
    const { ask } = await startEvents()
    const events = Array.from({ length: 3000 }, (_, data) => ({ type: 'A', data }))
    await ask('', commit({ streams: [{ stream: 'many-1', events }] }))
    const answer = await ask('', { headers: { accept: 'application/x-ndjson' } })
    expect(answer.headers.get('content-type')).toBe('application/x-ndjson')
    const lines = (await answer.text()).trimEnd().split('\n')
    expect(lines.map((line) => (JSON.parse(line) as Event).data)).toEqual(events.map(({ data }) => data))
  })

  test('HEAD tells where the log and the stream are', async () => {
    const { ask } = await startEvents()
    const positions = await fill(ask)
    const answer = await ask('/streams/order-3', { method: 'HEAD' })
    expect([answer.status, answer.headers.get('stream-revision')]).toEqual([200, '1'])
    expect(answer.headers.get('log-position')).toBe(positions.at(-1))
    const none = await ask('/streams/order-9', { method: 'HEAD' })
    expect([none.status, none.headers.get('stream-revision')]).toEqual([200, 'none'])
  })

  test.each([['a/b c', '%', 'ü', '..', '?x=1#y', '日本', '-', 'a-']])(
    'streams of any name are found by their encoded name',
    async (...names) => {
      const { ask } = await startEvents()
      for (const [index, name] of names.entries()) {
        const path = name === '..' ? `?stream=..` : `/streams/${encodeURIComponent(name)}`
        const append = commit({ streams: [{ stream: name, events: [{ type: 'A', data: index }] }] })
        expect((await ask('', append)).status).toBe(201)
        expect(await dataOf(await ask(path))).toEqual([index])
      }
    },
  )

  test.each<[string, [number, string]]>([
    ['?from=7', [400, 'invalid-position']],
    ['?from=9000000000000000', [409, 'position-ahead']],
    ['?form=0', [400, 'invalid-parameter']],
    ['?limit=0', [400, 'invalid-parameter']],
    ['?limit=1001', [400, 'invalid-parameter']],
    ['?limit=1&limit=2', [400, 'invalid-parameter']],
    ['?backwards=yes', [400, 'invalid-parameter']],
    ['?fromRevision=1', [400, 'invalid-selector']],
    ['?stream=a&category=b', [400, 'invalid-selector']],
    ['?wait=2h', [400, 'invalid-parameter']],
    ['?wait=1s&backwards=true', [400, 'invalid-parameter']],
    ['/streams/a?stream=b', [400, 'invalid-parameter']],
    ['/streams/%FF', [400, 'invalid-path']],
    ['/nothing', [404, 'not-found']],
  ])('%s is refused', async (path, expected) => {
    const { ask } = await startEvents()
    await ask('/streams/order-1', structured('a'))
    if (path.includes('9000')) {
      for (const accept of ['application/x-ndjson', 'text/event-stream'])
        expect(await problemOf(await ask(path, { headers: { accept } }))).toEqual(expected)
    }
    expect(await problemOf(await ask(path))).toEqual(expected)
  })

  test.each([
    [undefined, 'application/cloudevents-batch+json'],
    ['*/*', 'application/cloudevents-batch+json'],
    ['application/json', 'application/json'],
    ['application/x-ndjson, application/json;q=0.5', 'application/x-ndjson'],
    ['text/html, application/json;q=0.9, */*;q=0.1', 'application/json'],
    ['text/html', undefined],
    ['application/json;q=0', undefined],
  ])('Accept: %s gives %s', async (accept, type) => {
    const { ask } = await startEvents()
    const answer = await ask('', accept === undefined ? {} : { headers: { accept } })
    if (type === undefined) expect(await problemOf(answer)).toEqual([406, 'not-acceptable'])
    else expect(answer.headers.get('content-type')).toBe(type)
  })
})

describe('who may what', () => {
  test('nobody without a key', async () => {
    const { url } = await startEvents()
    expect((await fetch(`${url}/events`)).status).toBe(401)
    expect((await fetch(`${url}/events/streams/a`, structured('a'))).status).toBe(401)
  })

  test('only what the route allows', async () => {
    const reading = await startEvents({ allow: ['read'] })
    const refused = await reading.ask('/streams/order-1', structured('a'))
    expect(refused.headers.get('allow')).toBe('GET, HEAD')
    expect(await problemOf(refused)).toEqual([405, 'method-not-allowed'])
    const appending = await startEvents({ allow: ['append'] })
    expect(await problemOf(await appending.ask(''))).toEqual([405, 'method-not-allowed'])
    expect((await appending.ask('/streams/order-1', structured('a'))).status).toBe(201)
  })

  test('only streams that are open, one by one or by category', async () => {
    const { ask } = await startEvents({ categories: ['order'], streams: ['audit', 'log-eu-*'] })
    const open = ['order', 'order-1', 'audit', 'log-eu-1', 'log-eu-']
    const closed = ['stock-1', 'orders-1', 'audit-1', 'log-us-1', 'log']
    for (const stream of open) {
      expect((await ask(`/streams/${stream}`, structured(stream))).status).toBe(201)
      expect((await ask(`/streams/${stream}`)).status).toBe(200)
    }
    for (const stream of closed) {
      expect(await problemOf(await ask(`/streams/${stream}`, structured('x')))).toEqual([
        403,
        'stream-not-allowed',
      ])
      expect(await problemOf(await ask(`/streams/${stream}`))).toEqual([403, 'stream-not-allowed'])
    }
    expect((await ask('?category=order')).status).toBe(200)
    for (const selector of ['', '?category=log', '?tag=a', '?type=A'])
      expect(await problemOf(await ask(selector))).toEqual([403, 'stream-not-allowed'])
    const check = commit({ checks: [{ stream: 'stock-1', expected: 'none' }] })
    expect(await problemOf(await ask('', check))).toEqual([403, 'stream-not-allowed'])
  })
})
