import { afterEach, describe, expect, test } from 'vitest'
import { closeAll } from '../support/gateway.js'
import { startEvents, structured } from '../support/events-node.js'
import { parseExposition } from '../support/prometheus.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { serverSentEvents } from '../support/sse.js'

afterEach(closeAll)

describe.skipIf(postgresMissing())('two nodes with one log in PostgreSQL', () => {
  const server = PostgresServer.ofSuite()

  test('what one appends, the other follows; while the server is away that is told, and nobody is sent elsewhere', async () => {
    const events = { driver: 'postgres', url: server.url(), retryFor: '100ms', answerWithin: '2s' }
    const [one, two] = [await startEvents({}, { events }), await startEvents({}, { events })]
    const following = serverSentEvents(await two.ask('', { headers: { accept: 'text/event-stream' } }))
    const next = async (): Promise<string> => {
      for (;;) {
        const result = await following.next()
        if (result.done) throw new Error('the stream has ended')
        if (result.value.event === 'message' && result.value.data !== '') return result.value.data
      }
    }
    expect((await one.ask('/streams/order-1', structured('a', { 'expected-revision': 'none' }))).status).toBe(
      201,
    )
    expect(JSON.parse(await next())).toMatchObject({ id: 'a', banyanstream: 'order-1', actor: 'till' })
    const stats = (await (await fetch(`${two.admin}/api/events/stats`)).json()) as object
    expect(stats).toMatchObject({ driver: 'postgres', events: 1, streams: 1 })

    await server.crash()
    const refused = await one.ask('/streams/order-1', structured('b'))
    expect(refused.status).toBe(503)
    expect(refused.headers.get('retry-after')).toBe('1')
    expect(await refused.text()).not.toContain(String(server.port))
    expect((await (await fetch(`${one.admin}/api/events/stats`)).json()) as object).toHaveProperty('problem')
    const ready = await fetch(`${one.admin}/readyz`)
    expect(ready.status).toBe(200)
    expect(await ready.json()).not.toMatchObject({ events: 'ready' })
    const metrics = parseExposition(await (await fetch(`${one.admin}/metrics`)).text())
    expect(metrics.get('banyan_log_up')?.samples[0]?.value).toBe(0)

    await server.restart()
    // The same request again, as the answer has said; the one that follows has never been cut.
    let again = await one.ask('/streams/order-1', structured('b'))
    while (again.status === 503) again = await one.ask('/streams/order-1', structured('b'))
    expect([200, 201]).toContain(again.status)
    expect(JSON.parse(await next())).toMatchObject({ id: 'b', banyanrevision: 1 })
    await following.return(undefined)
  }, 60_000)
})
