import { writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { TestAuthority } from '../support/certificates.js'
import { Cli, configFile, run } from '../support/cli.js'

const authority = new TestAuthority()
const shop = authority.issue({ names: ['DNS:shop.example'] })

const config = (listen: unknown): string =>
  configFile({
    listen,
    admin: false,
    services: { shop: { endpoints: ['http://127.0.0.1:1'] } },
    routes: { all: { match: {}, to: 'shop' } },
  })

const secure = { address: '127.0.0.1:0', tls: { certificates: [shop] } }

test('banyan up says where https is, and what is spoken', async () => {
  const listen = [secure, { ...secure, http2: false }, { address: '127.0.0.1:0', h2c: true }, '127.0.0.1:0']
  const cli = new Cli('up', '-c', config(listen))
  await cli.printed(/gateway on https:\/\/127\.0\.0\.1:\d+ \(h2, http\/1\.1\)/)
  await cli.printed(/gateway on https:\/\/127\.0\.0\.1:\d+"/)
  await cli.printed(/gateway on http:\/\/127\.0\.0\.1:\d+ \(h2c, http\/1\.1\)/)
  await cli.printed(/gateway on http:\/\/127\.0\.0\.1:\d+"/)
  cli.process.kill('SIGTERM')
  expect(await cli.ended).toBe(0)
})

test('banyan check says the same, or what is wrong with a certificate and where', async () => {
  const good = await run('check', '-c', config([secure, { address: ':0', h2c: true }]))
  expect(good.stdout).toContain('listens on  127.0.0.1:0 (https, h2), :0 (h2c)')
  const foreign = authority.issue()
  const file = config(secure)
  writeFileSync(
    file,
    `listen:
  address: 127.0.0.1:0
  tls:
    certificates:
      - cert: ${shop.cert}
        key: ${foreign.key}
admin: false
services: { shop: { endpoints: [http://127.0.0.1:1] } }
routes: { all: { match: {}, to: shop } }
`,
  )
  for (const command of ['check', 'up']) {
    const { code, stderr } = await run(command, '-c', file)
    expect(code).toBe(1)
    expect(stderr).toContain(
      `${file}:6:14: listen.tls.certificates[0].key: \`${foreign.key}\` is not the key of the certificate in \`${shop.cert}\``,
    )
  }
})
