import { afterEach, expect, test } from 'vitest'
import { Gateway } from '../../src/traffic/gateway/index.js'
import { Cli, configFile, run } from '../support/cli.js'
import { closeAll, field, open } from '../support/gateway.js'
import { Origin } from '../support/origin.js'
import { RawClient } from '../support/raw.js'

afterEach(closeAll)

test('a stale answer is for requests that say the same in what it varies with, and each gets one of its own', async () => {
  const origin = await Origin.open((request, response) =>
    response.writeHead(200, { Vary: 'Accept-Language' }).end(request.headers['accept-language']),
  )
  const gateway = await Gateway.open({
    services: { s: { endpoints: [origin.url], policy: 'p' } },
    policies: { p: { fallback: { staleFor: '1h' } } },
    routes: { all: { match: {}, to: 's', requestId: true } },
  })
  open.push(gateway)
  const c = await RawClient.open((await gateway.listen(0)).port)
  open.push({ close: () => c.destroy() })
  const ask = (language: string) => c.ask(`GET / HTTP/1.1\r\nHost: a\r\nAccept-Language: ${language}\r\n\r\n`)
  for (const language of ['de', 'en']) expect((await ask(language)).body).toBe(language)
  origin.answer = (_request, response) => response.writeHead(500).end('down')
  const ids = new Set<string | undefined>()
  for (const language of ['de', 'en', 'de']) {
    const answer = await ask(language)
    expect(answer.body).toBe(language)
    ids.add(field(answer, 'x-request-id'))
  }
  expect(ids.size).toBe(3)
  expect((await ask('fr')).body).toBe('down')
})

test('an operator purges the caches of a running node', async () => {
  const origin = await Origin.open((_request, response) =>
    response.writeHead(200, { 'Cache-Control': 'max-age=600' }).end('x'),
  )
  const node = new Cli(
    'up',
    '-c',
    configFile({
      listen: 0,
      admin: 0,
      services: { web: { endpoints: [origin.url] } },
      routes: { all: { match: {}, to: 'web', cache: true } },
    }),
  )
  open.push({
    close: async () => {
      node.process.kill('SIGKILL')
      await node.ended
    },
  })
  const admin = (await node.printed(/admin on (http:\/\/[\d.]+:\d+)/))[1]!
  const gateway = (await node.printed(/gateway on (http:\/\/[\d.]+:\d+)/))[1]!
  for (const path of ['/a/1', '/a/2', '/b']) await fetch(gateway + path)
  expect(await run('cache', 'purge', '--path', '/a/*', '-a', admin)).toMatchObject({
    code: 0,
    stdout: '2 answers forgotten\n',
  })
  expect(await run('cache', 'purge', '--route', 'al', '-a', admin)).toMatchObject({ code: 1 })
  expect((await fetch(`${admin}/api/cache/purge`, { method: 'POST', body: '{"paht":"/"}' })).status).toBe(400)
  expect(await (await fetch(`${admin}/api/cache/purge`, { method: 'POST' })).json()).toEqual({ purged: 1 })
  await fetch(`${gateway}/b`)
  expect(origin.count).toBe(4)
})
