// @ts-check
import { Agent, createServer } from 'node:http'
import httpProxy from 'http-proxy'

const [target, port] = process.argv.slice(2)
const proxy = httpProxy.createProxyServer({ target, agent: new Agent({ keepAlive: true, maxSockets: 1024 }) })
proxy.on('error', (_error, _request, response) => {
  if ('writeHead' in response && !response.headersSent) response.writeHead(502).end()
})
createServer((request, response) => proxy.web(request, response)).listen({
  port: Number(port),
  host: '127.0.0.1',
  backlog: 4096,
})
