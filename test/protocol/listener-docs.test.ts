import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mkdtempSync, copyFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { connect } from 'node:tls'
import { join } from 'node:path'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterEach, expect, test } from 'vitest'
import { ensure } from '../../scripts/engines.mjs'
import { TestAuthority, type TestCertificate } from '../support/certificates.js'
import { startExample } from '../support/example.js'
import { closeAll, open } from '../support/gateway.js'

afterEach(closeAll)

const run = promisify(execFile)
const authority = new TestAuthority()

/** A directory with certificates under the names that a page has for them. */
function certificates(files: Record<string, TestCertificate>): string {
  const directory = mkdtempSync(join(tmpdir(), 'banyan-docs-'))
  for (const [name, { cert, key }] of Object.entries(files)) {
    copyFileSync(cert, join(directory, `${name}.pem`))
    copyFileSync(key, join(directory, `${name}.key`))
  }
  copyFileSync(authority.cert, join(directory, 'partners.pem'))
  return directory
}

/** A service that tells which fields it got. */
async function service(): Promise<string> {
  const server = createServer((incoming, outgoing) => outgoing.end(JSON.stringify(incoming.headers)))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  open.push({
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function curl(...args: string[]): Promise<string> {
  const { stdout } = await run(ensure('curl'), [
    '-sS',
    '--max-time',
    '10',
    '--cacert',
    authority.cert,
    ...args,
  ])
  return stdout
}

const freePorts = (yaml: string): string => yaml.replace(/127\.0\.0\.1:8\d{3}\b/g, '127.0.0.1:0')

test('the example of TLS redirects to it, and tells services who their clients are', async () => {
  const shop = authority.issue({ names: ['DNS:shop.example'] })
  const wildcard = authority.issue({ names: ['DNS:*.shop.example'] })
  const partner = authority.issue({ subject: '/O=partner/CN=ann', names: ['URI:spiffe://partner/ann'] })
  const { ports } = await startExample('traffic/tls.md', {
    env: { CERTS: certificates({ shop, wildcard }), ORDERS: await service() },
    edit: freePorts,
  })
  const [plain, secure] = ports
  const location = await curl(
    '-o',
    '/dev/null',
    '-w',
    '%{http_code} %{redirect_url}',
    `http://127.0.0.1:${plain}/a`,
  )
  expect(location).toBe('308 https://shop.example/a')
  const resolve = ['--resolve', `shop.example:${secure}:127.0.0.1`]
  const url = `https://shop.example:${secure}/orders/1`
  const headers = JSON.parse(
    await curl(...resolve, '--cert', partner.cert, '--key', partner.key, url),
  ) as Record<string, string>
  expect(headers).toMatchObject({
    'x-forwarded-proto': 'https',
    'x-client-subject': 'CN=ann,O=partner',
    'x-client-names': 'URI:spiffe://partner/ann',
  })
})

test('the example of HTTP/2 speaks it with TLS and without', async () => {
  const shop = authority.issue({ names: ['DNS:shop.example'] })
  const { ports } = await startExample('traffic/http2.md', {
    env: { CERTS: certificates({ shop }), SHOP: await service() },
    edit: freePorts,
  })
  const [secure, plain] = ports
  const version = ['-o', '/dev/null', '-w', '%{http_code} %{http_version}']
  const resolve = ['--resolve', `shop.example:${secure}:127.0.0.1`]
  expect(await curl('--http2', ...resolve, ...version, `https://shop.example:${secure}/`)).toBe('200 2')
  expect(await curl('--http2-prior-knowledge', ...version, `http://127.0.0.1:${plain}/`)).toBe('200 2')
})

test('a change of the configuration that says nothing new reads the certificates again', async () => {
  const names = ['DNS:shop.example']
  const directory = certificates({ shop: authority.issue({ names, subject: '/CN=first' }) })
  const { node, ports } = await startExample('traffic/http2.md', {
    env: { CERTS: directory, SHOP: await service() },
    edit: freePorts,
  })
  const shown = async (): Promise<string | undefined> => {
    const socket = connect({
      port: ports[0]!,
      host: '127.0.0.1',
      ca: authority.pem,
      servername: 'shop.example',
    })
    await new Promise<void>((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject))
    const name = socket.getPeerX509Certificate()?.subject
    socket.destroy()
    return name
  }
  expect(await shown()).toBe('CN=first')
  const second = authority.issue({ names, subject: '/CN=second' })
  copyFileSync(second.cert, join(directory, 'shop.pem'))
  copyFileSync(second.key, join(directory, 'shop.key'))
  await node.apply(node.spec)
  expect(await shown()).toBe('CN=second')
})
