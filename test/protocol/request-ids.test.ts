import { afterEach, expect, test } from 'vitest'
import { closeAll, field, get, ok, setUp } from '../support/gateway.js'

afterEach(closeAll)

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

function route(more: object): { routes: { all: { match: object; to: string } } } {
  return { routes: { all: { match: {}, to: 's', ...more } } }
}

test('a request has one id, told to the service and the client, whatever the client says', async () => {
  const { upstream, client } = await setUp(route({ requestId: true }))
  const c = await client()
  c.send(get('/', 'X-Request-Id: mine\r\nX_Request_Id: mine too\r\n'))
  const peer = await upstream.peer()
  const ids = [...(await peer.request()).matchAll(/^X[-_]Request[-_]Id: (.*)\r$/gim)].map(([, id]) => id!)
  expect(ids).toEqual([expect.stringMatching(UUID)])
  peer.reply(ok('', 'X-Request-Id: of the service\r\n'))
  const [answer] = await c.responses(1)
  expect(answer!.fields.filter(([name]) => name.toLowerCase() === 'x-request-id')).toEqual([
    ['X-Request-Id', ids[0]],
  ])
})

test.each([
  ['req-7/a', 'req-7/a'],
  ['with space', expect.stringMatching(UUID)],
  ['x'.repeat(129), expect.stringMatching(UUID)],
])('an id of the client may be kept if it is one: %s', async (given, told) => {
  const { upstream, client } = await setUp(route({ requestId: { header: 'X-Correlation-Id', keep: true } }))
  const c = await client()
  c.send(get('/', `X-Correlation-Id: ${given}\r\n`))
  const peer = await upstream.peer()
  await peer.request()
  peer.reply(ok(''))
  expect(field((await c.responses(1))[0]!, 'x-correlation-id')).toEqual(told)
})

test('a refusal has one too, in its field and in its document', async () => {
  const { client } = await setUp({
    authenticators: { nobody: { apiKey: { keys: {} } } },
    ...route({ requestId: true, access: { by: 'nobody' } }),
  })
  const answer = await (await client()).ask(get())
  expect(answer.start).toMatch(/^401 /)
  const id = field(answer, 'x-request-id')
  expect(id).toMatch(UUID)
  expect(JSON.parse(answer.body)).toMatchObject({ requestId: id })
})
