import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { KubernetesConfig } from '../../../src/coordination/index.js'

/** A server that answers as a test has it. */
export interface ScriptedServer extends AsyncDisposable {
  readonly config: KubernetesConfig
  /** What was asked, in order: `GET /apis/...`. */
  readonly asked: string[]
  /** Bodies of the same. */
  readonly bodies: string[]
}

/** An answer: what is sent, and how. */
export type Scripted = (response: ServerResponse, request: IncomingMessage) => void

/** Answers the first request as the first answer says, and so on; the last one goes on. */
export async function scriptedServer(...answers: Scripted[]): Promise<ScriptedServer> {
  const asked: string[] = []
  const bodies: string[] = []
  const listener: RequestListener = (request, response) => {
    asked.push(`${request.method} ${request.url}`)
    const answer = answers[Math.min(asked.length, answers.length) - 1]!
    let body = ''
    request.setEncoding('utf8')
    request.on('data', (text: string) => (body += text))
    request.on('end', () => {
      bodies.push(body)
      answer(response, request)
    })
  }
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    config: configOf(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
    asked,
    bodies,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** As a `KubeConfig` of the client has it, with a token. */
export function configOf(server: string): KubernetesConfig {
  return {
    getCurrentCluster: () => ({ server }),
    applyToHTTPSOptions(options) {
      options.headers = { authorization: 'Bearer secret' }
      return Promise.resolve()
    },
  }
}

/** An answer in JSON. */
export function json(body: unknown, status = 200, headers: Record<string, string | string[]> = {}): Scripted {
  return (response) =>
    void response
      .writeHead(status, { 'content-type': 'application/json', ...headers })
      .end(JSON.stringify(body))
}

/** A refusal, as Kubernetes has it. */
export function refusal(code: number, reason: string, details: object = {}, message = reason): Scripted {
  return json(
    { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, details, code },
    code,
  )
}

/** Events of a watch, which then ends. */
export function events(...list: readonly object[]): Scripted {
  return (response) => void response.end(list.map((event) => `${JSON.stringify(event)}\n`).join(''))
}

/** The connection is lost. */
export const lost: Scripted = (response) => void response.destroy()
