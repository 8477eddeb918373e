import { once } from 'node:events'
import { Metadata, status } from '@grpc/grpc-js'
import { afterEach, describe, expect, test } from 'vitest'
import type {
  GatewayOptions,
  GatewaySpec,
  PolicySpec,
  RouteSpec,
  ServiceSpec,
} from '../../src/traffic/gateway/index.js'
import { Gateway } from '../../src/traffic/gateway/index.js'
import { virtualRuntime } from '../../src/testing/index.js'
import { closeAll, open } from '../support/gateway.js'
import { drain, EchoClient, openEcho, type EchoHandlers } from '../support/grpc.js'
import { END_STREAM, Frame, FrameUpstream } from '../support/http2-frames.js'

afterEach(closeAll)

interface Setting {
  service?: Partial<ServiceSpec>
  policy?: PolicySpec
  route?: Partial<RouteSpec>
  spec?: Partial<GatewaySpec>
  options?: GatewayOptions
}

async function gatewayTo(url: string, { service, policy, route, spec, options }: Setting = {}) {
  const gateway = await Gateway.open(
    {
      services: {
        echo: { endpoints: [url], protocol: 'http2', ...(policy ? { policy: 'p' } : {}), ...service },
      },
      ...(policy ? { policies: { p: policy } } : {}),
      routes: { all: { match: { path: '/test.Echo/*' }, to: 'echo', ...route } },
      ...spec,
    },
    options,
  )
  open.push(gateway)
  const { port } = await gateway.listen(0, '127.0.0.1', { h2c: true })
  const endpoint = () => gateway.state().services['echo']!.endpoints[0]!
  return { gateway, client: new EchoClient(port), endpoint }
}

async function setUp(handlers: EchoHandlers, setting: Setting = {}) {
  const { url, server } = await openEcho(handlers)
  return { server, ...(await gatewayTo(url, setting)) }
}

const echo: EchoHandlers['unary'] = (call, reply) => reply(null, call.request)

describe('calls of every kind', () => {
  test('unary: message, metadata both ways, and trailing metadata', async () => {
    const { client } = await setUp({
      unary(call, reply) {
        call.sendMetadata(copy(call.metadata, 'x-key', 'x-seen'))
        const trailing = new Metadata()
        trailing.set('x-trailing', 'end')
        trailing.set('x-raw-bin', Buffer.from([0, 255, 1]))
        reply(null, call.request, trailing)
      },
    })
    const metadata = new Metadata()
    metadata.set('x-key', 'value')
    const asked = client.unary('hello', {}, metadata)
    const [head] = (await once(asked.call, 'metadata')) as [Metadata]
    const [ended] = (await once(asked.call, 'status')) as [{ code: number; metadata: Metadata }]
    expect(await asked).toBe('hello')
    expect(head.get('x-seen')).toEqual(['value'])
    expect([ended.code, ended.metadata.get('x-trailing'), ended.metadata.get('x-raw-bin')]).toEqual([
      0,
      ['end'],
      [Buffer.from([0, 255, 1])],
    ])
  })

  test('a stream from the client', async () => {
    const { client } = await setUp({
      client(call, reply) {
        const texts: string[] = []
        call.on('data', (data: Buffer) => texts.push(data.toString()))
        call.on('end', () => reply(null, Buffer.from(texts.join('+'))))
      },
    })
    const { call, result } = client.client()
    for (const text of ['a', 'b', 'c']) call.write(Buffer.from(text))
    call.end()
    expect(await result).toBe('a+b+c')
  })

  test('a stream from the server, large and in order', async () => {
    const { client } = await setUp({
      server(call) {
        for (let index = 0; index < 200; index++) call.write(Buffer.from(`${index}`.padEnd(20_000, '.')))
        call.end()
      },
    })
    const { texts, code } = await drain(client.server('go'))
    expect([code, texts.length, texts.every((text, index) => text.startsWith(`${index}.`))]).toEqual([
      0,
      200,
      true,
    ])
  })

  test('both ways at the same time, each side answering the other', async () => {
    const { client } = await setUp({
      bidi(call) {
        call.on('data', (data: Buffer) => call.write(Buffer.from(`${data.toString()}!`)))
        call.on('end', () => call.end())
      },
    })
    const call = client.bidi()
    for (const text of ['one', 'two', 'three']) {
      call.write(Buffer.from(text))
      const [data] = (await once(call, 'data')) as [Buffer]
      expect(data.toString()).toBe(`${text}!`)
    }
    call.end()
    const [{ code }] = (await once(call, 'status')) as [{ code: number }]
    expect(code).toBe(status.OK)
  })
})

describe('a stream in which nobody speaks', () => {
  test('stays open: neither side owes the other a word', async () => {
    const runtime = virtualRuntime()
    const { client } = await setUp(
      {
        bidi(call) {
          call.on('data', (data: Buffer) => call.write(data))
          call.on('end', () => call.end())
        },
      },
      { options: { runtime }, service: { idleTimeout: '1h' } },
    )
    const call = client.bidi()
    for (const text of ['before', 'after']) {
      call.write(Buffer.from(text))
      expect(String((await once(call, 'data'))[0])).toBe(text)
      await runtime.clock.advance(10 * 60_000)
    }
    call.end()
    expect((await once(call, 'status'))[0]).toMatchObject({ code: status.OK })
  })

  test('is ended by the idle timeout of the service', async () => {
    const runtime = virtualRuntime()
    const { client } = await setUp(
      { bidi: (call) => void call.on('data', (data: Buffer) => call.write(data)) },
      { options: { runtime }, service: { idleTimeout: '10s' } },
    )
    const call = client.bidi()
    const ended = drain(call)
    call.write(Buffer.from('one'))
    await once(call, 'data')
    await runtime.clock.advance(12_000)
    expect(await ended).toMatchObject({ code: status.UNAVAILABLE })
  })
})

describe('how a call ends', () => {
  test('an error of the service reaches its caller as it is', async () => {
    const { client } = await setUp({
      unary: (_call, reply) => reply({ code: status.NOT_FOUND, details: 'no such thing: 100% ü' }),
    })
    await expect(client.unary('x')).rejects.toMatchObject({
      code: status.NOT_FOUND,
      details: 'no such thing: 100% ü',
    })
  })

  test('a caller that cancels cancels the work of the service', async () => {
    const cancelled: (() => void)[] = []
    const seen = new Promise<void>((resolve) => cancelled.push(resolve))
    const begun: (() => void)[] = []
    const started = new Promise<void>((resolve) => begun.push(resolve))
    const { client, endpoint } = await setUp({
      unary(call) {
        call.on('cancelled', () => cancelled[0]!())
        begun[0]!()
      },
    })
    const asked = client.unary('x')
    await started
    asked.call.cancel()
    await expect(asked).rejects.toMatchObject({ code: status.CANCELLED })
    await seen
    expect(endpoint().failures).toBe(0)
  })

  test('a service that breaks off in the middle is UNAVAILABLE, not a riddle', async () => {
    const upstream = await FrameUpstream.open()
    open.push(upstream)
    const { client } = await gatewayTo(upstream.url)
    const ended = drain(client.server('go'))
    const peer = await upstream.peer()
    const stream = await peer.request()
    peer.headers(stream, [[':status', '200'], ['content-type', 'application/grpc']]) // prettier-ignore
    peer.send(Frame.Data, 0, stream, message('one'))
    await peer.next(Frame.WindowUpdate).catch(() => undefined)
    peer.socket.destroy()
    expect(await ended).toMatchObject({ texts: ['one'], code: status.UNAVAILABLE })
  })

  test('a service that ends without a status has failed', async () => {
    const upstream = await FrameUpstream.open()
    open.push(upstream)
    const { client, endpoint } = await gatewayTo(upstream.url)
    const asked = client.unary('x')
    const peer = await upstream.peer()
    const stream = await peer.request()
    peer.headers(stream, [[':status', '200'], ['content-type', 'application/grpc']]) // prettier-ignore
    peer.send(Frame.Data, END_STREAM, stream, message('x'))
    await expect(asked).rejects.toThrow()
    expect(endpoint().failures).toBe(1)
  })

  test('an answer of something that speaks HTTP only is left to the caller', async () => {
    const upstream = await FrameUpstream.open()
    open.push(upstream)
    const { client } = await gatewayTo(upstream.url)
    const asked = client.unary('x')
    const peer = await upstream.peer()
    peer.headers(await peer.request(), [[':status', '403'], ['content-type', 'text/html']], END_STREAM) // prettier-ignore
    await expect(asked).rejects.toMatchObject({ code: status.PERMISSION_DENIED })
  })
})

describe('deadlines', () => {
  test('travel: the service learns what is left of its caller’s', async () => {
    let left: string | undefined
    const { client } = await setUp({
      unary(call, reply) {
        left = call.getDeadline().toString()
        reply(null, call.request)
      },
    })
    const before = Date.now()
    await client.unary('x', { deadline: before + 5_000 })
    const told = new Date(left!).getTime() || Number(left)
    expect(told).toBeGreaterThan(before + 3_000)
    expect(told).toBeLessThanOrEqual(Date.now() + 5_000)
  })

  test('of a policy are told to the service too, and end the call', async () => {
    let deadline: unknown
    const { client } = await setUp(
      { unary: (call) => (deadline = call.getDeadline()) },
      { policy: { timeout: '100ms' } },
    )
    await expect(client.unary('x')).rejects.toMatchObject({ code: status.DEADLINE_EXCEEDED })
    expect(deadline).not.toBe(Infinity)
  })

  test('that have passed end a call that is still silent, and one that streams', async () => {
    const upstream = await FrameUpstream.open()
    open.push(upstream)
    const { gateway } = await gatewayTo(upstream.url)
    const { port } = await gateway.listen(0, '127.0.0.1', { h2c: true })
    // A client that does not count its own deadline.
    const { connect } = await import('node:http2')
    const session = connect(`http://127.0.0.1:${port}`)
    open.push({ close: () => session.destroy() })
    const call = (timeout: string) =>
      session.request({ ':method': 'POST', ':path': '/test.Echo/Unary', 'content-type': 'application/grpc', 'te': 'trailers', 'grpc-timeout': timeout }) // prettier-ignore
    const silent = call('50m')
    const peer = await upstream.peer()
    await peer.request()
    const [head] = (await once(silent, 'response')) as [Record<string, string>, number]
    expect(head).toMatchObject({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '4' })
    const streaming = call('100m')
    const stream = await peer.request()
    peer.headers(stream, [[':status', '200'], ['content-type', 'application/grpc']]) // prettier-ignore
    peer.send(Frame.Data, 0, stream, message('one'))
    streaming.resume()
    const [trailers] = (await once(streaming, 'trailers')) as [Record<string, string>]
    expect(trailers['grpc-status']).toBe('4')
  })
})

describe('what the gateway answers by itself', () => {
  test('is trailers only, with the code and the words of gRPC', async () => {
    const { gateway } = await setUp({ unary: echo })
    const { port } = await gateway.listen(0, '127.0.0.1', { h2c: true })
    const { connect } = await import('node:http2')
    const session = connect(`http://127.0.0.1:${port}`)
    open.push({ close: () => session.destroy() })
    const stream = session.request({ ':method': 'POST', ':path': '/no.Such/Route', 'content-type': 'application/grpc+proto', 'te': 'trailers' }) // prettier-ignore
    const [head, flags] = (await once(stream, 'response')) as [Record<string, string>, number]
    expect(flags & END_STREAM).toBe(END_STREAM)
    expect(head).toMatchObject({
      ':status': 200,
      'content-type': 'application/grpc',
      'grpc-status': String(status.UNIMPLEMENTED),
      'grpc-message': 'No route takes this request.',
    })
    expect(head['proxy-status']).toContain('error=http_request_error')
  })

  test('an endpoint that cannot be reached is UNAVAILABLE', async () => {
    const { url, server } = await openEcho({ unary: echo })
    server.forceShutdown()
    const { client } = await gatewayTo(url)
    await expect(client.unary('x')).rejects.toMatchObject({ code: status.UNAVAILABLE })
  })

  test('a rate limit is RESOURCE_EXHAUSTED, and says when to come back', async () => {
    const { client } = await setUp({ unary: echo }, { policy: { rateLimit: { limit: 1, window: '1h' } } })
    await client.unary('x')
    const refused = await client
      .unary('x')
      .catch((error: unknown) => error as { code: number; metadata: Metadata })
    expect(refused).toMatchObject({ code: status.RESOURCE_EXHAUSTED })
    const { metadata } = refused as { metadata: Metadata }
    expect(Number(metadata.get('grpc-retry-pushback-ms')[0])).toBeGreaterThan(0)
  })
})

describe('policies judge by the status of the call', () => {
  const failing: EchoHandlers = {
    unary: (_call, reply) => reply({ code: status.UNAVAILABLE, details: 'not now' }),
  }

  test('a breaker opens by UNAVAILABLE, which comes with HTTP 200', async () => {
    const { client, endpoint } = await setUp(failing, {
      policy: { breaker: { failureRate: 0.5, minimumCalls: 2, openFor: '1m' } },
    })
    for (let count = 0; count < 2; count++)
      await expect(client.unary('x')).rejects.toMatchObject({ details: 'not now' })
    await expect(client.unary('x')).rejects.toMatchObject({
      code: status.UNAVAILABLE,
      details: 'The service has been failing and is given time to recover.',
    })
    expect(endpoint()).toMatchObject({ requests: 2, failures: 2 })
  })

  test('a breaker opens by what streams say at their end', async () => {
    const { client } = await setUp(
      {
        server(call) {
          call.write(Buffer.from('one'))
          call.emit('error', { code: status.INTERNAL, details: 'broken' })
        },
      },
      { policy: { breaker: { failureRate: 0.5, minimumCalls: 2, openFor: '1m' } } },
    )
    for (let count = 0; count < 2; count++)
      expect(await drain(client.server('go'))).toMatchObject({ texts: ['one'], code: status.INTERNAL })
    expect(await drain(client.server('go'))).toMatchObject({ texts: [], code: status.UNAVAILABLE })
  })

  test('errors that are the caller’s own do not count', async () => {
    const { client, endpoint } = await setUp(
      { unary: (_call, reply) => reply({ code: status.INVALID_ARGUMENT, details: 'no' }) },
      { policy: { breaker: { failureRate: 0.5, minimumCalls: 2, openFor: '1m' } } },
    )
    for (let count = 0; count < 4; count++)
      await expect(client.unary('x')).rejects.toMatchObject({ code: status.INVALID_ARGUMENT })
    expect(endpoint()).toMatchObject({ requests: 4, failures: 0 })
  })

  test('a caller that leaves too little time does not open a breaker for the others', async () => {
    const { client, endpoint } = await setUp(
      { unary: (_call, reply) => reply({ code: status.DEADLINE_EXCEEDED, details: 'too short' }) },
      { policy: { breaker: { failureRate: 0.5, minimumCalls: 2, openFor: '1m' } } },
    )
    for (let count = 0; count < 4; count++)
      await expect(client.unary('x', { deadline: Date.now() + 5_000 })).rejects.toMatchObject({
        code: status.DEADLINE_EXCEEDED,
      })
    expect(endpoint()).toMatchObject({ requests: 4, failures: 0 })
  })

  test('a service that gives up by itself does', async () => {
    const { client } = await setUp(
      { unary: (_call, reply) => reply({ code: status.DEADLINE_EXCEEDED, details: 'too slow' }) },
      { policy: { breaker: { failureRate: 0.5, minimumCalls: 2, openFor: '1m' } } },
    )
    for (let count = 0; count < 2; count++)
      await expect(client.unary('x')).rejects.toMatchObject({ code: status.DEADLINE_EXCEEDED })
    await expect(client.unary('x')).rejects.toMatchObject({ code: status.UNAVAILABLE })
  })

  test('a retry repeats UNAVAILABLE where the route says that it may, and counts the tries', async () => {
    const tries: string[][] = []
    const { client } = await setUp(
      {
        unary(call, reply) {
          tries.push(call.metadata.get('grpc-previous-rpc-attempts').map(String))
          if (tries.length < 3) reply({ code: status.UNAVAILABLE, details: 'not yet' })
          else reply(null, call.request)
        },
      },
      { policy: { retry: { attempts: 3, backoff: { base: 1, max: 1 } } }, route: { idempotent: true } },
    )
    expect(await client.unary('again')).toBe('again')
    expect(tries).toEqual([[], ['1'], ['2']])
  })

  test('a retry repeats nothing that may have been done, unless the route says so', async () => {
    let calls = 0
    const { client } = await setUp(
      {
        unary(_call, reply) {
          calls++
          reply({ code: status.UNAVAILABLE, details: 'perhaps done' })
        },
      },
      { policy: { retry: { attempts: 3, backoff: { base: 1, max: 1 } } } },
    )
    await expect(client.unary('x')).rejects.toMatchObject({ code: status.UNAVAILABLE })
    expect(calls).toBe(1)
  })

  test('a retry obeys a service that wants none', async () => {
    let calls = 0
    const { client } = await setUp(
      {
        unary(_call, reply) {
          calls++
          const metadata = new Metadata()
          metadata.set('grpc-retry-pushback-ms', '-1')
          reply({ code: status.UNAVAILABLE, details: 'stop', metadata })
        },
      },
      { policy: { retry: { attempts: 3, backoff: { base: 1, max: 1 } } }, route: { idempotent: true } },
    )
    await expect(client.unary('x')).rejects.toMatchObject({ details: 'stop' })
    expect(calls).toBe(1)
  })
})

/** A message as gRPC frames it. */
function message(text: string): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(text.length, 1)
  return Buffer.concat([head, Buffer.from(text)])
}

function copy(metadata: Metadata, from: string, to: string): Metadata {
  const copied = new Metadata()
  for (const value of metadata.get(from)) copied.add(to, value)
  return copied
}
