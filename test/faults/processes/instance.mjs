// @ts-check
/**
 * An instance of the service `orders`: an HTTP server that registers itself, and answers with its name. Prints `ready` when it
 * is registered. SIGTERM drains it and closes the server; SIGUSR2 makes it answer 500 while it says that it is well.
 *
 * Its argument is JSON: `where` the coordinator is, `name`, `ttl` and `drain` in ms.
 */
import { openCoordinator, register } from 'banyan/coordination'
import { createServer } from 'node:http'

const { where, name, ttl, drain } = JSON.parse(process.argv[2] ?? '{}')
process.stdin.on('end', () => process.exit(1)).resume()
let lies = false
process.on('SIGUSR2', () => (lies = true))

const server = createServer((_, response) => response.writeHead(lies ? 500 : 200).end(name))
await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)))
const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
const coordinator = await openCoordinator(where)
const registration = register(coordinator, {
  service: 'orders',
  id: name,
  address: `http://127.0.0.1:${port}`,
  ttl,
  drain,
})
process.once('SIGTERM', async () => {
  await registration.close()
  await new Promise((resolve) => server.close(resolve))
  await coordinator.close()
  process.exit(0)
})
await registration.ready
process.stdout.write('ready\n')
