import { expect } from 'vitest'
import { Gateway, type GatewayOptions, type GatewaySpec } from '../../src/traffic/gateway/index.js'
import { RawClient, RawUpstream } from './raw.js'

/** What a test has opened; `closeAll` after each. */
export const open: { close(): unknown }[] = []

/** Closes what the test has opened, the last thing first. */
export async function closeAll(): Promise<void> {
  for (const each of open.splice(0).reverse()) await each.close()
}

/** A gateway with one route to one upstream that the test plays. */
export async function setUp(
  spec: Partial<GatewaySpec> & { service?: object } = {},
  options: GatewayOptions = {},
) {
  const upstream = await RawUpstream.open()
  open.push(upstream)
  const { service, ...rest } = spec
  const gateway = await Gateway.open(
    {
      services: { s: { endpoints: [upstream.url], ...service } },
      routes: { all: { match: {}, to: 's' } },
      ...rest,
    },
    options,
  )
  open.push(gateway)
  const { port } = await gateway.listen(0)
  const client = async (): Promise<RawClient> => {
    const each = await RawClient.open(port)
    open.push({ close: () => each.destroy() })
    return each
  }
  return { upstream, gateway, client, port }
}

export const get = (path = '/', more = ''): string =>
  `GET ${path} HTTP/1.1\r\nHost: shop.example\r\n${more}\r\n`
export const ok = (body: string, more = ''): string =>
  `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n${more}\r\n${body}`

/** The first field of that name (in lower case). */
export function field(message: { fields: [string, string][] }, name: string): string | undefined {
  return message.fields.find(([each]) => each.toLowerCase() === name)?.[1]
}

/** The problem document that an answer is. */
export function problem(message: { fields: [string, string][]; body: string }): {
  status: number
  type: string
  detail: string
} {
  expect(field(message, 'content-type')).toBe('application/problem+json')
  return JSON.parse(message.body) as { status: number; type: string; detail: string }
}
