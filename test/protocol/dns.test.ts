import { createSocket } from 'node:dgram'
import { isIPv4 } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { dnsResolver, systemResolver } from '../../src/traffic/discovery/resolver.js'
import { closeAll, open } from '../support/gateway.js'

afterEach(closeAll)

interface Record {
  address: string
  ttl: number
}

/** A DNS server that knows one name; for a family without records it says that there is none, or that it has failed. */
async function dnsServer(a: Record[] | 'failed', aaaa: Record[] | 'failed' = []): Promise<string> {
  const socket = createSocket('udp4')
  socket.on('message', (query, peer) => {
    const end = query.indexOf(0, 12) + 5
    const question = query.subarray(12, end)
    const records = question.readUInt16BE(question.length - 4) === 1 ? a : aaaa
    const head = Buffer.alloc(12)
    query.copy(head, 0, 0, 2)
    head.writeUInt16BE(records === 'failed' ? 0x8182 : 0x8180, 2)
    head.writeUInt16BE(1, 4)
    const answers = records === 'failed' ? [] : records.map(answerOf)
    head.writeUInt16BE(answers.length, 6)
    socket.send(Buffer.concat([head, question, ...answers]), peer.port, peer.address)
  })
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
  open.push({ close: () => socket.close() })
  return `127.0.0.1:${socket.address().port}`
}

/** A record of the name that was asked for. */
function answerOf({ address, ttl }: Record): Buffer {
  const data = isIPv4(address)
    ? Buffer.from(address.split('.').map(Number))
    : Buffer.from(
        address
          .split(':')
          .map((part) => part.padStart(4, '0'))
          .join(''),
        'hex',
      )
  const head = Buffer.alloc(12)
  head.writeUInt16BE(0xc00c, 0)
  head.writeUInt16BE(data.length === 4 ? 1 : 28, 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt32BE(ttl, 6)
  head.writeUInt16BE(data.length, 10)
  return Buffer.concat([head, data])
}

const FOURS = [
  { address: '10.0.0.1', ttl: 60 },
  { address: '10.0.0.2', ttl: 20 },
]
const SIXES = [{ address: 'fd00:0:0:0:0:0:0:1', ttl: 30 }]

test.each([
  ['auto', FOURS, SIXES, { addresses: ['10.0.0.1', '10.0.0.2'], ttl: 20_000 }],
  ['auto', [], SIXES, { addresses: ['fd00::1'], ttl: 30_000 }],
  ['ipv4', FOURS, SIXES, { addresses: ['10.0.0.1', '10.0.0.2'], ttl: 20_000 }],
  ['ipv6', FOURS, SIXES, { addresses: ['fd00::1'], ttl: 30_000 }],
  ['both', FOURS, SIXES, { addresses: ['10.0.0.1', '10.0.0.2', 'fd00::1'], ttl: 20_000 }],
] as const)(
  'of family %s, a name with %j and %j has its addresses and the shortest time to live',
  async (family, a, aaaa, expected) => {
    const resolver = dnsResolver([await dnsServer([...a], [...aaaa])])
    const { addresses, ttl } = await resolver.resolve('orders.internal', family)
    expect({ addresses: addresses.toSorted(), ttl }).toEqual(expected)
  },
)

test.each(['auto', 'both'] as const)(
  'of family %s, a name of which only the IPv6 addresses can be asked has not lost the others',
  async (family) => {
    const resolver = dnsResolver([await dnsServer('failed', SIXES)])
    await expect(resolver.resolve('orders.internal', family)).rejects.toThrow('ESERVFAIL')
  },
)

test('a name that only the system knows is looked up there', async () => {
  const resolver = dnsResolver([await dnsServer([])])
  expect(await resolver.resolve('localhost', 'ipv4')).toMatchObject({ addresses: ['127.0.0.1'] })
  expect((await systemResolver.resolve('localhost', 'ipv4')).addresses).toEqual(['127.0.0.1'])
})
