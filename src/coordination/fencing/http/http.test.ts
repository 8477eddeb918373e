import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { processes } from '../../../../test/support/coordinators.js'
import { SEED, times } from '../../../../test/support/effort.js'
import { recordingTelemetry } from '../../../../test/support/telemetry.js'
import type { HandlerRequest } from '../../../core/http-handler.js'
import { virtualRuntime } from '../../../testing/index.js'
import { coordinationError } from '../../errors.js'
import {
  coordinatorFences,
  fencedFetch,
  fencingHeaders,
  parseFencingToken,
  requireFencingToken,
  type Claim,
  type FencingOptions,
  type FencingToken,
} from '../../index.js'

const orders = (token: Claim['token']): Claim => ({ name: 'orders', token })

describe('the header field Fencing-Token', () => {
  it('is a structured field', () => {
    expect(fencingHeaders(orders(42))).toEqual({ 'fencing-token': '"orders";token=42' })
    expect(fencingHeaders({ name: 'a "b" \\', token: 1 })).toEqual({
      'fencing-token': '"a \\"b\\" \\\\";token=1',
    })
    // The example of RFC 9651, section 3.3.8.
    expect(fencingHeaders({ name: 'füü', token: 1 })).toEqual({ 'fencing-token': '%"f%c3%bc%c3%bc";token=1' })
    for (const name of ['orders', 'a "b" \\', 'füü', '100% "\\ü', '注文'])
      expect(parseFencingToken(fencingHeaders({ name, token: 7 })['fencing-token']!)).toEqual({
        name,
        token: 7,
      })
    expect(() => fencingHeaders(orders(1e15))).toThrow(/15 digits/)
  })

  it('may have parameters that mean nothing', () => {
    const field =
      '  "orders"; a;b=?1;c="x;token=9";d=1.5;e=:aGk=:;f=@1659578233;g=*t/o:k;h=%"f%c3%bc"; token=42  '
    expect(parseFencingToken(field)).toEqual({ name: 'orders', token: 42 })
    expect(parseFencingToken('"orders";token=1;token=42')).toEqual({ name: 'orders', token: 42 })
  })

  it.each([
    '',
    'orders;token=42',
    '"orders"',
    '"orders";token',
    '"orders";token=0',
    '"orders";token=-1',
    '"orders";token=1.5',
    '"orders";token="42"',
    '"orders";token=1234567890123456',
    '"orders";token=42, "orders";token=43',
    '"orders";token=42 x',
    '"orders" ;token=42',
    '"orders;token=42',
    '"";token=42',
    '%"f%C3%BC";token=42',
    '%"f%ff";token=42',
    `"${'x'.repeat(256)}";token=42`,
  ])('is refused if it is %j', (field) => {
    expect(() => parseFencingToken(field)).toThrow(/Fencing-Token must be/)
  })

  it('gives every name and token back', () => {
    const name = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 40 })
      .filter((text) => !text.includes('\0'))
    fc.assert(
      fc.property(name, fc.integer({ min: 1, max: 999_999_999_999_999 }), (name, token) => {
        const field = fencingHeaders({ name, token })['fencing-token']!
        expect(field).toMatch(/^[\x20-\x7e]+$/)
        expect(parseFencingToken(field)).toEqual({ name, token })
      }),
      { seed: SEED, numRuns: times(300) },
    )
  })
})

describe('a server that requires a fencing token', () => {
  const request = (field?: string): Request =>
    new Request('http://localhost/', {
      method: 'POST',
      ...(field !== undefined && { headers: { 'fencing-token': field } }),
    })
  const sent = (token: number): Request => request(`"orders";token=${token}`)
  const statusOf = async (answer: Promise<Response>): Promise<number> => (await answer).status

  it('lets the newest holder in, tells its token, and refuses those before with 412', async () => {
    const { telemetry, counts } = recordingTelemetry()
    const gate = requireFencingToken({ name: 'orders', runtime: { ...virtualRuntime(), telemetry } })
    const seen: (FencingToken | undefined)[] = []
    const serve = gate.fetch((_, token) => {
      seen.push(token)
      return new Response(null, { status: 204 })
    })
    expect(await statusOf(serve(sent(5)))).toBe(204)
    expect(await statusOf(serve(sent(7)))).toBe(204)
    const refused = await serve(sent(5))
    expect(refused.status).toBe(412)
    expect(refused.headers.get('content-type')).toBe('application/problem+json')
    expect(await refused.json()).toMatchObject({
      status: 412,
      title: 'stale token',
      code: 'BANYAN_STALE_TOKEN',
      fence: 'orders',
      token: 5,
      seen: 7,
    })
    expect(await statusOf(serve(sent(7)))).toBe(204)
    expect(seen.map((token) => token?.token)).toEqual([5, 7, 7])
    expect(counts.get('banyan.fencing.refused{banyan.fence=orders}')).toBe(1)
  })

  it('refuses what has no token, or one that it cannot read, or one of another fence', async () => {
    const serve = requireFencingToken({ name: 'orders' }).fetch(() => new Response('done'))
    for (const [answer, status, code] of [
      [serve(request()), 428, 'BANYAN_FENCING_TOKEN_REQUIRED'],
      [serve(request('42')), 400, 'BANYAN_INVALID_FENCING_TOKEN'],
      [serve(request('"other";token=42')), 400, 'BANYAN_INVALID_FENCING_TOKEN'],
    ] as const) {
      expect(await statusOf(answer)).toBe(status)
      expect(await (await answer).clone().json()).toMatchObject({ code })
    }
    const lenient = requireFencingToken({ name: 'orders', required: false })
    expect(
      await (await lenient.fetch((_, token) => Response.json({ token: token ?? null }))(request())).json(),
    ).toEqual({ token: null })
    expect(() => requireFencingToken({ name: '' })).toThrow(/the name of a fence/)
    expect(() => requireFencingToken({ nam: 'x' } as never)).toThrow(/did you mean `name`/)
  })

  it('lets a new holder in when the requests of those before have ended, and nobody of them meanwhile', async () => {
    const order: string[] = []
    let end = (): void => undefined
    const serve = requireFencingToken({ name: 'orders' }).fetch(async (_, token) => {
      order.push(`${token!.token} begins`)
      if (token!.token === 5) await new Promise<void>((resolve) => (end = resolve))
      order.push(`${token!.token} ends`)
      return new Response()
    })
    const old = serve(sent(5))
    await new Promise((resolve) => setImmediate(resolve))
    const young = serve(sent(7))
    expect(await statusOf(serve(sent(5)))).toBe(412)
    end()
    expect([await statusOf(old), await statusOf(young)]).toEqual([200, 200])
    expect(order).toEqual(['5 begins', '5 ends', '7 begins', '7 ends'])
  })

  it('can be a handler of any server', async () => {
    const serve = requireFencingToken({ name: 'orders' }).handler((_, token) =>
      Promise.resolve({ status: 200, fields: [], body: Buffer.from(String(token!.token)) }),
    )
    const asked = (field: string | undefined): ReturnType<typeof serve> =>
      serve({ field: (name) => (name === 'fencing-token' ? field : undefined) } as HandlerRequest)
    expect(await asked('"orders";token=7')).toMatchObject({ status: 200, body: Buffer.from('7') })
    expect(await asked('"orders";token=5')).toMatchObject({
      problem: { status: 412, kind: 'stale-token', extensions: { seen: 7 } },
    })
    expect(await asked(undefined)).toMatchObject({ problem: { status: 428 } })
  })

  it('does not wait for ever', async () => {
    const runtime = virtualRuntime()
    const serve = requireFencingToken({ name: 'orders', wait: '2s', runtime }).fetch((_, token) =>
      token!.token === 5 ? new Promise<Response>(() => undefined) : new Response(),
    )
    void serve(sent(5))
    await new Promise((resolve) => setImmediate(resolve))
    const answer = serve(sent(7))
    await runtime.clock.advance('2s')
    expect(await statusOf(answer)).toBe(503)
    expect((await answer).headers.get('retry-after')).toBe('1')
    expect(await (await answer).json()).toMatchObject({ code: 'BANYAN_FENCE_BUSY' })
  })

  it('shares what it has seen with other servers, and says so if it cannot', async () => {
    const { open } = processes()
    const coordinator = open()
    const options: FencingOptions = { name: 'orders', fences: coordinatorFences(coordinator) }
    const one = requireFencingToken(options).fetch(() => new Response())
    const two = requireFencingToken(options).fetch(() => new Response())
    expect(await statusOf(one(sent(5)))).toBe(200)
    expect(await statusOf(two(sent(7)))).toBe(200)
    expect(await statusOf(one(sent(5)))).toBe(412)
    expect(await statusOf(one(sent(6)))).toBe(412)
    await coordinator.close()
    const answer = await one(sent(7))
    expect(answer.status).toBe(503)
    expect(await answer.json()).toMatchObject({
      code: 'BANYAN_COORDINATOR_CLOSED',
      title: 'fence unavailable',
    })
  })

  it('wants fences that can be raised', () => {
    const open = Promise.resolve() as never
    for (const fences of [{} as never, open])
      expect(() => requireFencingToken({ name: 'orders', fences })).toThrow(/openFences.*no raise/)
  })

  it('of node:http tells a fetch of the holder that it has been replaced', async () => {
    const gate = requireFencingToken({ name: 'orders' })
    const server = createServer(
      gate.node((request, response, token) => {
        if (request.url === '/fails') throw new Error('it fails')
        response.end(`${request.method} as ${token!.token}`)
      }),
    )
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    let over = false
    const check = (): void => {
      if (over) throw coordinationError('BANYAN_LEASE_LOST', 'over')
    }
    const old = fencedFetch(orders({ token: 5, check }))
    const young = fencedFetch(orders(7))
    expect(await (await old(url, { method: 'PUT' })).text()).toBe('PUT as 5')
    expect(await (await young(new Request(url, { method: 'PUT' }))).text()).toBe('PUT as 7')
    await expect(old(url)).rejects.toMatchObject({ code: 'BANYAN_STALE_TOKEN', token: 5, seen: 7 })
    over = true
    await expect(old(url)).rejects.toMatchObject({ code: 'BANYAN_LEASE_LOST' })
    expect((await young(`${url}fails`)).status).toBe(500)
    expect((await young(url)).status).toBe(200)
    expect((await fetch(url)).status).toBe(428)
    await new Promise((resolve) => server.close(resolve))
  })

  it('never runs a request beside one of another holder, nor behind one of a later', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 2, maxLength: 8 }),
        async (scheduler, tokens) => {
          const running = new Set<number>()
          const begun: number[] = []
          const serve = requireFencingToken({ name: 'orders' }).fetch(async (_, token) => {
            running.add(token!.token)
            begun.push(token!.token)
            expect(running.size).toBe(1)
            await scheduler.schedule(Promise.resolve(), 'work')
            running.delete(token!.token)
            return new Response()
          })
          const answers = tokens.map(async (token) => {
            await scheduler.schedule(Promise.resolve(), 'sent')
            return (await serve(sent(token))).status
          })
          const statuses = await scheduler.waitFor(Promise.all(answers))
          expect(begun).toEqual([...begun].sort((a, b) => a - b))
          const highest = Math.max(...tokens)
          tokens.forEach((token, index) => {
            if (token === highest) expect(statuses[index]).toBe(200)
            else expect([200, 412]).toContain(statuses[index])
          })
        },
      ),
      { seed: SEED, numRuns: times(60) },
    )
  })
})
