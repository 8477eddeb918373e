import { afterEach, describe, expect, test } from 'vitest'
import { virtualRuntime } from '../../testing/index.js'
import { RawUpstream, type RawPeer } from '../../../test/support/raw.js'
import type { UpstreamError } from '../errors.js'
import type { Body } from './body.js'
import type { ResponseHead } from './message.js'
import { Pool, type PoolOptions } from './pool.js'
import { Sweeper } from './sweeper.js'
import type { AnswerReceiver, OutgoingRequest, UpstreamChannel } from './upstream/exchange.js'

const cleanUps: (() => void)[] = []

afterEach(() => {
  for (const cleanUp of cleanUps.splice(0).reverse()) cleanUp()
})

async function setUp({ chance, ...options }: Partial<PoolOptions> & { chance?: number } = {}) {
  const upstream = await RawUpstream.open()
  const virtual = virtualRuntime()
  const runtime = chance === undefined ? virtual : { ...virtual, random: { next: () => chance } }
  const { clock } = virtual
  const pool = new Pool({
    address: { host: '127.0.0.1', port: upstream.port, tls: false },
    protocol: 'http1',
    tls: undefined,
    label: 's http://inner:1',
    attributes: {},
    runtime,
    sweeper: new Sweeper(clock),
    maxConnections: 2,
    maxPending: 100,
    maxConnectionAge: Infinity,
    maxRequests: Infinity,
    connectTimeout: 1_000,
    idleTimeout: 60_000,
    maxIdle: 30_000,
    ...options,
  })
  cleanUps.push(
    () => upstream.close(),
    () => pool.close(),
  )
  return { upstream, clock, pool }
}

const never = (): void => undefined

/** Waits for what comes about by itself. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve))
}

const GET: OutgoingRequest = {
  method: 'GET',
  target: '/',
  host: 'a',
  fields: '',
  framing: { kind: 'none' },
  body: undefined,
  upgrade: undefined,
  trailers: false,
}

/** One request and its answer on a connection. */
function exchange(connection: UpstreamChannel): Promise<string> {
  return new Promise((resolve, reject) => {
    const receiver: AnswerReceiver = {
      onInterim: never,
      onHead: (_head: ResponseHead, body: Body) => {
        let text = ''
        body.pipe({
          write: (data) => {
            text += data.toString()
            return true
          },
          end: () => resolve(text),
          fail: reject,
        })
      },
      onError: (error: UpstreamError) => reject(error),
    }
    connection.send(GET, receiver)
  })
}

/** Answers everything on every connection, and closes none. */
function answerAll(upstream: RawUpstream, more = ''): void {
  const answer = async (peer: RawPeer): Promise<void> => {
    while ((await peer.request()) !== '') peer.reply(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n${more}\r\nok`)
  }
  const next = async (): Promise<void> => {
    const peer = await upstream.peer()
    void answer(peer)
    void next()
  }
  void next()
}

describe('connections', () => {
  test('are used again, the last one used first', async () => {
    const { upstream, pool } = await setUp()
    answerAll(upstream)
    const one = await pool.connect(never)
    const two = await pool.connect(never)
    await exchange(one)
    await exchange(two)
    expect([pool.size, pool.idle]).toEqual([2, 2])
    expect(pool.take()).toBe(two)
    expect(pool.take()).toBe(one)
    expect(pool.take()).toBeUndefined()
  })

  test('are closed when nobody has used them for long', async () => {
    const { upstream, clock, pool } = await setUp({ maxIdle: 30_000 })
    answerAll(upstream)
    await exchange(await pool.connect(never))
    await clock.advance(29_000)
    expect(pool.idle).toBe(1)
    await clock.advance(3_000)
    await upstream.peers[0]!.end()
    expect(pool.take()).toBeUndefined()
  })

  test('are closed before the endpoint says it will, as a request may already be on its way then', async () => {
    const { upstream, clock, pool } = await setUp({ maxIdle: 30_000 })
    answerAll(upstream, 'Keep-Alive: timeout=5, max=100\r\n')
    await exchange(await pool.connect(never))
    await clock.advance(3_000)
    expect(pool.idle).toBe(1)
    await clock.advance(1_900)
    expect(pool.take()).toBeUndefined()
  })

  test('that the endpoint has closed, or spoken on unasked, are not given out', async () => {
    const { upstream, pool } = await setUp()
    answerAll(upstream)
    const [one, two] = [await pool.connect(never), await pool.connect(never)]
    await exchange(one)
    await exchange(two)
    const gone = Promise.all([one, two].map((each) => new Promise((end) => each.socket!.once('close', end))))
    upstream.peers[0]!.socket.end()
    upstream.peers[1]!.reply('HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned')
    await gone
    expect([pool.take(), pool.size, pool.idle]).toEqual([undefined, 0, 0])
  })

  test('that the endpoint closes after its answer are not kept', async () => {
    const { upstream, pool } = await setUp()
    answerAll(upstream, 'Connection: close\r\n')
    const one = await pool.connect(never)
    const closed = new Promise((resolve) => one.socket!.once('close', resolve))
    expect(await exchange(one)).toBe('ok')
    await closed
    expect([pool.size, pool.idle]).toEqual([0, 0])
  })
})

describe('a connection that has done its share', () => {
  test('by its age is replaced, at once if it is idle and after its exchange if not', async () => {
    const { upstream, clock, pool } = await setUp({ maxConnectionAge: 60_000, maxIdle: 600_000 })
    answerAll(upstream)
    const old = await pool.connect(never)
    await clock.advance(61_000)
    expect(await exchange(old)).toBe('ok')
    expect(pool.take()).toBeUndefined()
    await until(() => pool.size === 0)
    await exchange(await pool.connect(never))
    await clock.advance(61_000)
    await until(() => pool.size === 0)
    expect(pool.state().closed).toEqual({ age: 2 })
  })

  test('by its age goes up to a fifth sooner, by chance, and never later', async () => {
    const ages: number[] = []
    for (const chance of [0, 0.5, 0.999]) {
      const { upstream, clock, pool } = await setUp({
        maxConnectionAge: 100_000,
        maxIdle: 600_000,
        chance,
      })
      answerAll(upstream)
      await exchange(await pool.connect(never))
      const from = clock.now()
      while (pool.idle > 0) {
        await clock.advance(1_000)
        await new Promise((resolve) => setImmediate(resolve))
      }
      ages.push(clock.now() - from)
    }
    expect(ages.map((age) => Math.round(age / 10_000))).toEqual([10, 9, 8])
  })

  test('by its requests is not used again', async () => {
    const { upstream, pool } = await setUp({ maxRequests: 2 })
    answerAll(upstream)
    const first = await pool.connect(never)
    await exchange(first)
    expect(pool.take()).toBe(first)
    await exchange(first)
    expect(pool.take()).toBeUndefined()
    await until(() => pool.size === 0)
    expect(pool.state()).toMatchObject({ opened: 1, closed: { requests: 1 } })
  })
})

describe('what happens to connections is counted', () => {
  test('by its reason', async () => {
    const { upstream, clock, pool } = await setUp({ maxConnections: 10 })
    const idle = await pool.connect(never)
    const peer = await upstream.peer()
    const answer = exchange(idle)
    await peer.request()
    peer.reply('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    await answer
    const broken = exchange(await pool.connect(never)).catch(never)
    const other = await upstream.peer()
    await other.request()
    other.reply('HTTP/1.1 200 nonsense\r\n\0')
    await broken
    const reset = exchange(pool.take()!).catch(never)
    peer.socket.resetAndDestroy()
    await reset
    await until(() => pool.size === 0)
    const lonely = await pool.connect(never)
    lonely.giveBack()
    await clock.advance(40_000)
    await until(() => pool.size === 0)
    expect(pool.state()).toMatchObject({ opened: 3, failed: 0, closed: { error: 2, idle: 1 } })
  })

  test('and why the last attempt to connect failed, until one works', async () => {
    const { upstream, pool } = await setUp()
    upstream.close()
    await expect(pool.connect(never)).rejects.toThrow()
    expect(pool.state()).toMatchObject({
      failed: 1,
      lastError: expect.stringContaining('ECONNREFUSED') as string,
    })
  })
})

describe('a burst', () => {
  test('is served by what becomes free before what is being opened', async () => {
    const { upstream, pool } = await setUp({ maxConnections: 10 })
    answerAll(upstream)
    const first = await pool.connect(never)
    const served: UpstreamChannel[] = []
    const waiting = pool.connect(never).then((connection) => served.push(connection))
    first.giveBack()
    await waiting
    expect(served).toEqual([first])
    // What was opened for the burst in vain waits for the next one.
    while (pool.idle === 0) await new Promise((resolve) => setImmediate(resolve))
    expect(pool.size).toBe(2)
  })
})

describe('at the maximum', () => {
  test('callers wait, and get what becomes free in their order', async () => {
    const { upstream, pool } = await setUp({ maxConnections: 1 })
    answerAll(upstream)
    const first = await pool.connect(never)
    const order: string[] = []
    const wait = async (name: string): Promise<void> => {
      const connection = await pool.connect(never)
      order.push(name)
      await exchange(connection)
    }
    const waiting = [wait('a'), wait('b'), wait('c')]
    expect(pool.waiting).toBe(3)
    await exchange(first)
    await Promise.all(waiting)
    expect([order, pool.size, pool.waiting, upstream.peers.length]).toEqual([['a', 'b', 'c'], 1, 0, 1])
  })

  test('a place that a broken connection leaves goes to who waits, on a new one', async () => {
    const { upstream, pool } = await setUp({ maxConnections: 1 })
    const first = await pool.connect(never)
    const answer = exchange(first)
    const waiting = pool.connect(never)
    const peer = await upstream.peer()
    await peer.request()
    peer.socket.resetAndDestroy()
    await expect(answer).rejects.toMatchObject({ code: 'BANYAN_UPSTREAM_RESET' })
    answerAll(upstream)
    expect(await exchange(await waiting)).toBe('ok')
    expect([pool.size, pool.waiting]).toEqual([1, 0])
  })

  test('more callers than may wait are refused at once', async () => {
    const { pool } = await setUp({ maxConnections: 1, maxPending: 2 })
    await pool.connect(never)
    const waiting = [pool.connect(never), pool.connect(never)]
    await expect(pool.connect(never)).rejects.toMatchObject({ code: 'BANYAN_POOL_FULL' })
    expect(pool.state()).toMatchObject({ waiting: 2, refused: 1 })
    pool.close()
    for (const each of waiting) await expect(each).rejects.toMatchObject({ code: 'BANYAN_NO_ENDPOINT' })
  })

  test('who gives up leaves the line, and the next one takes the place', async () => {
    const { upstream, pool } = await setUp({ maxConnections: 1 })
    answerAll(upstream)
    const first = await pool.connect(never)
    let giveUp = never
    const impatient = pool.connect((cancel) => (giveUp = cancel))
    const patient = pool.connect(never)
    giveUp()
    await expect(impatient).rejects.toMatchObject({ code: 'BANYAN_UPSTREAM_CONNECT' })
    await exchange(first)
    expect(await exchange(await patient)).toBe('ok')
    expect(pool.waiting).toBe(0)
  })

  test('who waits when the pool is closed is sent away, and so is who comes later', async () => {
    const { pool } = await setUp({ maxConnections: 1 })
    await pool.connect(never)
    const waiting = pool.connect(never)
    pool.close()
    await expect(waiting).rejects.toMatchObject({ code: 'BANYAN_NO_ENDPOINT' })
    await expect(pool.connect(never)).rejects.toMatchObject({ code: 'BANYAN_NO_ENDPOINT' })
    expect(pool.waiting).toBe(0)
  })
})

describe('connecting', () => {
  test('to nobody fails at once, and leaves no place taken', async () => {
    const { upstream, pool } = await setUp({ maxConnections: 1 })
    upstream.close()
    for (let round = 0; round < 3; round++) {
      await expect(pool.connect(never)).rejects.toMatchObject({ code: 'BANYAN_UPSTREAM_CONNECT' })
    }
    expect([pool.size, pool.waiting]).toEqual([0, 0])
  })

  test('can be given up, and leaves no place taken', async () => {
    const { upstream, pool } = await setUp({ maxConnections: 1 })
    let giveUp = never
    const connecting = pool.connect((cancel) => (giveUp = cancel))
    giveUp()
    await expect(connecting).rejects.toMatchObject({ code: 'BANYAN_UPSTREAM_CONNECT' })
    answerAll(upstream)
    expect(await exchange(await pool.connect(never))).toBe('ok')
  })
})

describe('closing the pool', () => {
  test('ends idle connections at once, and busy ones after their exchange', async () => {
    const { upstream, pool } = await setUp()
    const [busy, idle] = [await pool.connect(never), await pool.connect(never)]
    const [busyPeer, idlePeer] = [await upstream.peer(), await upstream.peer()]
    const idled = exchange(idle)
    await idlePeer.request()
    idlePeer.reply('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    await idled
    const answer = exchange(busy)
    await busyPeer.request()
    pool.close()
    await idlePeer.end()
    busyPeer.reply('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast')
    expect(await answer).toBe('last')
    await busyPeer.end()
    expect([pool.idle, pool.take()]).toEqual([0, undefined])
  })
})
