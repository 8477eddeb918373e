// @ts-check
import Fastify from 'fastify'
import proxy from '@fastify/http-proxy'

const [target, port] = process.argv.slice(2)
const server = Fastify()
await server.register(proxy, {
  upstream: /** @type {string} */ (target),
  undici: { connections: 128, pipelining: 1 },
})
await server.listen({ port: Number(port), host: '127.0.0.1', backlog: 4096 })
