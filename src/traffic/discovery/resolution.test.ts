import { expect, test } from 'vitest'
import { noTelemetry } from '../../core/telemetry.js'
import { virtualRuntime } from '../../testing/virtual-clock.js'
import { Resolution, type ResolveOptions } from './resolution.js'
import type { Resolved } from './resolver.js'

function setUp(options: ResolveOptions = {}) {
  const lines: string[] = []
  const telemetry = {
    ...noTelemetry,
    log: (level: string, message: string) => lines.push(`${level} ${message}`),
  }
  const runtime = virtualRuntime({ telemetry })
  const { clock } = runtime
  const asked: number[] = []
  const dns: { answer: Resolved | Error } = { answer: { addresses: ['10.0.0.1'], ttl: undefined } }
  const changes: string[] = []
  const resolution: Resolution = new Resolution(
    'orders.internal',
    options,
    {
      service: 's',
      runtime,
      resolver: {
        resolve: () => {
          asked.push(clock.now())
          return dns.answer instanceof Error ? Promise.reject(dns.answer) : Promise.resolve(dns.answer)
        },
      },
    },
    () => changes.push(resolution.addresses.join(' ')),
  )
  return { resolution, dns, clock, asked, changes, lines }
}

const to = (...addresses: string[]): Resolved => ({ addresses, ttl: undefined })

test('a name is asked for at once, and again when its time is over', async () => {
  const { resolution, clock, asked } = setUp({ every: '30s' })
  expect(asked).toEqual([])
  resolution.start()
  resolution.start()
  expect(asked).toEqual([0])
  await clock.advance('5m')
  const intervals = asked.slice(1).map((at, index) => at - asked[index]!)
  expect(Math.max(...intervals)).toBeLessThanOrEqual(30_000)
  expect(Math.min(...intervals)).toBeGreaterThanOrEqual(27_000)
  resolution.close()
  expect(clock.pending).toBe(0)
})

test('a shorter time to live is respected, but not below a second', async () => {
  const { resolution, dns, clock, asked } = setUp({ every: '30s' })
  dns.answer = { addresses: ['10.0.0.1'], ttl: 5_000 }
  resolution.start()
  await clock.advance('60s')
  expect(asked.length).toBeGreaterThanOrEqual(13)
  dns.answer = { addresses: ['10.0.0.1'], ttl: 0 }
  asked.length = 0
  await clock.advance('60s')
  expect(asked.length).toBeLessThanOrEqual(67)
  resolution.close()
})

test('only other addresses are a change, whatever their order', async () => {
  const { resolution, dns, clock, changes } = setUp()
  dns.answer = to('10.0.0.2', '10.0.0.1', '10.0.0.2')
  resolution.start()
  await clock.advance('1m')
  dns.answer = to('10.0.0.1', '10.0.0.2')
  await clock.advance('1m')
  dns.answer = to('10.0.0.2', '10.0.0.3')
  await clock.advance('1m')
  expect(changes).toEqual(['10.0.0.1 10.0.0.2', '10.0.0.2 10.0.0.3'])
  resolution.close()
})

test('when nobody answers the addresses stay, the failure is told once, and asked again soon', async () => {
  const { resolution, dns, clock, changes, asked, lines } = setUp({ every: '1m' })
  resolution.start()
  await clock.advance('1m')
  dns.answer = new Error('queryA ETIMEOUT orders.internal')
  await clock.advance('1m')
  asked.length = 0
  await clock.advance('30s')
  expect(asked.length).toBeGreaterThanOrEqual(6)
  expect(resolution.state()).toMatchObject({
    addresses: ['10.0.0.1'],
    error: 'queryA ETIMEOUT orders.internal',
  })
  dns.answer = to('10.0.0.1')
  await clock.advance('10s')
  expect(resolution.state().error).toBeUndefined()
  expect(changes).toEqual(['10.0.0.1'])
  expect(lines).toEqual([
    'info the addresses of an endpoint have changed',
    'warn the name of an endpoint cannot be resolved',
    'info the name of an endpoint resolves again',
  ])
  resolution.close()
})

test('a name with very many addresses is bounded', async () => {
  const { resolution, dns, clock, lines } = setUp()
  dns.answer = to(...Array.from({ length: 300 }, (_, index) => `10.0.${index >> 8}.${index & 255}`))
  resolution.start()
  await clock.advance(0)
  expect(resolution.addresses).toHaveLength(256)
  expect(lines[0]).toBe('warn a name has 300 addresses, 256 are used')
  resolution.close()
})
