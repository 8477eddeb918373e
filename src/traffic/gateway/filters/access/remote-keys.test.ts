import { exportJWK, generateKeyPair, type JWK } from 'jose'
import { beforeAll, expect, test } from 'vitest'
import { virtualRuntime } from '../../../../testing/index.js'
import { KeysUnavailable, RemoteKeys } from './remote-keys.js'
import type { RemoteKeysSpec } from './spec.js'

let jwk: JWK = {}
beforeAll(async () => {
  jwk = await exportJWK((await generateKeyPair('ES256')).publicKey)
})

/** Keys whose publisher the test plays. */
function published(more: Partial<RemoteKeysSpec> = {}) {
  const runtime = virtualRuntime()
  const publisher = { up: true, kid: 'one', fetches: [] as number[] }
  const fetching = (() => {
    publisher.fetches.push(runtime.clock.now())
    if (!publisher.up) return Promise.reject(new TypeError('fetch failed', { cause: new Error('refused') }))
    return Promise.resolve(Response.json({ keys: [{ ...jwk, kid: publisher.kid }] }))
  }) as unknown as typeof fetch
  const keys = new RemoteKeys(
    { url: 'http://issuer.example/keys', ...more },
    { name: 'a', runtime, fetch: fetching },
  )
  return { runtime, publisher, keys }
}

test('keys that have become old are fetched beside the requests, which go on with the old ones', async () => {
  const { runtime, publisher, keys } = published({ refreshEvery: '10m' })
  const first = await keys.current()
  await runtime.clock.advance('10m')
  publisher.kid = 'two'
  expect(keys.current()).toBe(first)
  await runtime.clock.advance(1)
  expect(await keys.current()).toMatchObject({ version: 2 })
  expect(publisher.fetches).toHaveLength(2)
})

test('keys that are the same after a fetch are the same keys', async () => {
  const { runtime, keys } = published({ refreshEvery: '1m' })
  const first = await keys.current()
  await runtime.clock.advance('2m')
  void keys.current()
  await runtime.clock.advance(1)
  expect(keys.current()).toBe(first)
})

test('a publisher that is down is asked again after 1, 2, 4 and then every 8 seconds', async () => {
  const runtime = virtualRuntime()
  const fetches: number[] = []
  const fetching = (() => {
    fetches.push(runtime.clock.now())
    return Promise.reject(new TypeError('fetch failed'))
  }) as unknown as typeof fetch
  const keys = new RemoteKeys(
    { url: 'http://issuer.example/keys', cooldown: '8s' },
    { name: 'a', runtime, fetch: fetching },
  )
  for (let tick = 0; tick < 320; tick++) {
    await expect(keys.current()).rejects.toBeInstanceOf(KeysUnavailable)
    await runtime.clock.advance(100)
  }
  expect(fetches).toEqual([0, 1_000, 3_000, 7_000, 15_000, 23_000, 31_000])
})

test('a fetch that takes too long is given up', async () => {
  const runtime = virtualRuntime()
  const fetching = ((_url: string, { signal }: RequestInit) =>
    new Promise((_resolve, reject) => {
      signal!.addEventListener('abort', () => reject(signal!.reason as Error))
    })) as unknown as typeof fetch
  const keys = new RemoteKeys(
    { url: 'http://issuer.example/keys', timeout: '3s' },
    { name: 'a', runtime, fetch: fetching },
  )
  const waiting = Promise.resolve(keys.current())
  await expect(runtime.clock.settle(waiting)).rejects.toBeInstanceOf(KeysUnavailable)
  expect(runtime.clock.now()).toBe(3_000)
})
