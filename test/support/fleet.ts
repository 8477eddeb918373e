import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { open } from './gateway.js'

/** An endpoint whose behaviour a test changes while it runs. */
export class FleetMember {
  readonly #server: Server
  /** Requests that came, checks apart. */
  requests = 0
  checks = 0
  /** How it answers requests; checks are answered 200 unless `health` says otherwise. */
  answer: (response: ServerResponse) => void = (response) => response.end('ok')
  health = 200

  private constructor(server: Server) {
    this.#server = server
  }

  static async open(host = '127.0.0.1', port = 0): Promise<FleetMember> {
    const server = createServer((request, response) => {
      if (request.url === '/healthz') {
        member.checks++
        if (member.health > 0) response.writeHead(member.health).end()
        return
      }
      member.requests++
      member.answer(response)
    })
    const member = new FleetMember(server)
    await new Promise<void>((resolve) => server.listen(port, host, resolve))
    open.push(member)
    return member
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  fail(): void {
    this.answer = (response) => response.writeHead(500).end()
  }

  recover(): void {
    this.answer = (response) => response.end('ok')
  }

  close(): Promise<void> {
    this.#server.closeAllConnections()
    return new Promise((resolve) => this.#server.close(() => resolve()))
  }
}

/** Waits until something holds that only events of the network bring about. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise<void>((resolve) => setImmediate(resolve))
}
