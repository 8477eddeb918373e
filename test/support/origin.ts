import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  Gateway,
  type GatewayOptions,
  type RouteSpec,
  type ServiceSpec,
} from '../../src/traffic/gateway/index.js'
import { open } from './gateway.js'
import { RawClient } from './raw.js'

/** A service that a test writes as a function; remembers what it was asked. */
export class Origin {
  readonly requests: IncomingMessage[] = []
  readonly url: string
  /** What answers; may be changed at any time. */
  answer: (request: IncomingMessage, response: ServerResponse) => void
  #changed: (() => void)[] = []

  private constructor(url: string, answer: Origin['answer']) {
    this.url = url
    this.answer = answer
  }

  static async open(answer: Origin['answer']): Promise<Origin> {
    const server = createServer((request, response) => {
      origin.requests.push(request)
      for (const resolve of origin.#changed.splice(0)) resolve()
      origin.answer(request, response)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    open.push({
      close: () => {
        server.closeAllConnections()
        server.close()
      },
    })
    const origin = new Origin(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, answer)
    return origin
  }

  get count(): number {
    return this.requests.length
  }

  get last(): IncomingMessage {
    return this.requests.at(-1)!
  }

  /** Waits until it was asked that often. */
  async asked(count: number): Promise<IncomingMessage> {
    while (this.count < count) await new Promise<void>((resolve) => this.#changed.push(resolve))
    return this.requests[count - 1]!
  }
}

/** A gateway with one route to one service that the test writes as a function. */
export async function inFrontOf(
  answer: Origin['answer'],
  route: Partial<RouteSpec> = {},
  options: GatewayOptions & { service?: Partial<ServiceSpec> } = {},
) {
  const { service, ...rest } = options
  const origin = await Origin.open(answer)
  const gateway = await Gateway.open(
    {
      services: { s: { endpoints: [origin.url], ...service } },
      routes: { all: { match: {}, to: 's', ...route } },
    },
    rest,
  )
  open.push(gateway)
  const { port } = await gateway.listen(0)
  const url = `http://127.0.0.1:${port}`
  const client = async (): Promise<RawClient> => {
    const each = await RawClient.open(port)
    open.push({ close: () => each.destroy() })
    return each
  }
  return { origin, gateway, port, url, client }
}
