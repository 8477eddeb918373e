import { readFileSync, copyFileSync, mkdtempSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as grpc from '@grpc/grpc-js'
import { afterEach, expect, test } from 'vitest'
import { TestAuthority } from '../support/certificates.js'
import { startExample } from '../support/example.js'
import { closeAll, open } from '../support/gateway.js'

afterEach(closeAll)

test('the example of connections: TLS both ways, by the name of the service', async () => {
  const authority = new TestAuthority()
  const service = authority.issue({ names: ['DNS:orders.internal'] })
  const gateway = authority.issue({ names: ['DNS:gateway.internal'] })
  const certs = mkdtempSync(join(tmpdir(), 'banyan-example-'))
  copyFileSync(authority.cert, join(certs, 'internal-ca.pem'))
  copyFileSync(gateway.cert, join(certs, 'gateway.pem'))
  copyFileSync(gateway.key, join(certs, 'gateway.key'))
  const identity = { cert: readFileSync(service.cert), key: readFileSync(service.key), ca: authority.pem }
  const server = createServer(
    { ...identity, requestCert: true, rejectUnauthorized: true },
    (request, response) => response.end(`orders at ${request.url}`),
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  open.push({ close: () => server.close().closeAllConnections() })
  const { port } = server.address() as AddressInfo
  const { ports } = await startExample('traffic/upstreams.md', {
    env: { ORDERS: `https://127.0.0.1:${port}`, CERTS: certs },
    edit: (yaml) => yaml.replace('127.0.0.1:8080', '127.0.0.1:0'),
  })
  const answer = await fetch(`http://127.0.0.1:${ports[0]!}/42`)
  expect([answer.status, await answer.text()]).toEqual([200, 'orders at /42'])
})

test('the example of gRPC: a call that is repeated where the route lets it, and not elsewhere', async () => {
  const same = (message: Buffer): Buffer => message
  const method = (path: string) => ({
    path,
    requestStream: false,
    responseStream: false,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  })
  let calls = 0
  const moody: grpc.handleUnaryCall<Buffer, Buffer> = (call, reply) => {
    if (++calls % 2 === 1) reply({ code: grpc.status.UNAVAILABLE, details: 'not now' })
    else reply(null, call.request)
  }
  const server = new grpc.Server()
  const paths = ['/helloworld.Greeter/SayHello', '/helloworld.Greeter/SayGoodbye'] as const
  server.addService({ hello: method(paths[0]), goodbye: method(paths[1]) }, { hello: moody, goodbye: moody })
  const upstream = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) =>
      error ? reject(error) : resolve(port),
    ),
  )
  open.push({ close: () => server.forceShutdown() })
  const { ports } = await startExample('traffic/grpc.md', {
    env: { GREETER: `http://127.0.0.1:${upstream}` },
    edit: (yaml) => yaml.replace('127.0.0.1:8090', '127.0.0.1:0'),
  })
  const client = new grpc.Client(`127.0.0.1:${ports[0]!}`, grpc.credentials.createInsecure(), {
    'grpc.enable_retries': 0,
  })
  open.push({ close: () => client.close() })
  const ask = (path: string): Promise<string> =>
    new Promise((resolve, reject) =>
      client.makeUnaryRequest(path, same, same, Buffer.from('you'), (error, value) =>
        error ? reject(error) : resolve(value!.toString()),
      ),
    )
  expect([await ask(paths[0]), calls]).toEqual(['you', 2])
  await expect(ask(paths[1])).rejects.toMatchObject({ code: grpc.status.UNAVAILABLE, details: 'not now' })
  expect(calls).toBe(3)
})
