import { readFileSync } from 'node:fs'
import { request } from 'node:https'
import { afterEach, expect, test } from 'vitest'
import { gatewayFor } from '../support/access.js'
import { TestAuthority, type TestCertificate } from '../support/certificates.js'
import { closeAll } from '../support/gateway.js'

afterEach(closeAll)

const authority = new TestAuthority()
const shop = authority.issue({ names: ['DNS:shop.example'] })
const orders = authority.issue({
  subject: '/O=Acme/CN=orders',
  names: ['DNS:orders.internal', 'URI:spiffe://acme/ns/shop/sa/orders'],
})
const other = authority.issue({
  subject: '/O=Acme/CN=a\\,O=Ops',
  names: ['URI:spiffe://acme/ns/shop/sa/orders/x'],
})

function ask(port: number, shown?: TestCertificate, method = 'GET', headers: Record<string, string> = {}) {
  return new Promise<number>((resolve, reject) => {
    const files = shown ? { cert: readFileSync(shown.cert), key: readFileSync(shown.key) } : {}
    const options = {
      port,
      method,
      headers,
      servername: 'shop.example',
      ca: authority.pem,
      agent: false as const,
    }
    request({ host: '127.0.0.1', ...options, ...files }, (response) => {
      response.resume()
      resolve(response.statusCode!)
    })
      .once('error', reject)
      .end()
  })
}

test('whoever has shown a certificate is known by it, over a connection that the listener has verified', async () => {
  const { gateway, got } = await gatewayFor({
    authenticators: {
      mesh: { certificate: { names: ['URI:spiffe://acme/ns/*/sa/orders'], subjects: ['CN=*,O=Ops'] } },
    },
    routes: {
      all: {
        match: {},
        to: 's',
        access: { by: 'mesh', identityHeaders: { 'X-Service': 'sub', 'X-DN': 'subject' } },
      },
    },
  })
  const tls = { certificates: [shop], clients: { ca: authority.cert, mode: 'request' as const } }
  const { port } = await gateway.listen(0, '127.0.0.1', { tls })
  expect(await ask(port, orders)).toBe(200)
  expect([got[0]!.headers['x-service'], got[0]!.headers['x-dn']]).toEqual([
    'URI:spiffe://acme/ns/shop/sa/orders',
    'CN=orders,O=Acme',
  ])
  expect(await ask(port)).toBe(401)
  // Another segment, and a name that holds a comma, are not what the patterns say.
  expect(await ask(port, other)).toBe(401)
  // A browser would show its certificate to whatever page causes the request.
  expect(await ask(port, orders, 'POST', { 'sec-fetch-site': 'cross-site' })).toBe(403)
})
