// @ts-check
import { once } from 'node:events'
import { watchNpm } from './runner/parent.mjs'
import { free } from './runner/ports.mjs'
import { openPostgres } from './runner/postgres.mjs'
import { ADMIN, SERVICES, SPARES, legacy, ready, startNode, startService } from './runner/processes.mjs'
import { welcome } from './runner/welcome.mjs'

/** Signals within that time are one, in ms. */
const ONCE = 300

// Everything: node examples/shop/start.mjs [--postgres]
// One process alone, to bring back what was killed: node examples/shop/start.mjs catalog 4001, or: ... start.mjs node
const [first, port] = process.argv.slice(2)
try {
  if (first === undefined || first === '--postgres') await startEverything(first === '--postgres')
  else if (first === 'node') await bringNodeBack()
  else await bringBack(first, Number(port))
} catch (error) {
  // What has started leaves, as this process is gone.
  console.error(`\n  ${/** @type {Error} */ (error).message}\n`)
  process.exit(1)
}

/** @param {boolean} ownPostgres */
async function startEverything(ownPostgres) {
  await free([8080, 8081, 4008, ...SERVICES.map((service) => service.port)])
  const postgres = await openPostgres(ownPostgres)
  const services = [...SERVICES, ...(postgres.url ? [legacy(postgres.url)] : [])]
  const children = await Promise.all(services.map((service) => startService(service, true)))
  const node = startNode()
  const close = async () => {
    for (const child of children) child.kill()
    await Promise.all(children.map((child) => child.exitCode ?? child.signalCode ?? once(child, 'exit')))
    await postgres.stop()
  }
  let isStopping = false
  let last = -Infinity
  const stop = (/** @type {NodeJS.Signals} */ signal) => {
    // The terminal has sent it, and npm passes it on: that is once.
    if (performance.now() - last < ONCE) return
    last = performance.now()
    isStopping = true
    // The gateway goes first, so that no request meets a service that has gone.
    if (!node.kill(signal)) void close()
  }
  process.on('SIGINT', () => stop('SIGINT'))
  process.on('SIGTERM', () => stop('SIGTERM'))
  process.on('SIGHUP', () => stop('SIGTERM'))
  watchNpm(() => stop('SIGTERM'))
  node.on('exit', (code, signal) => {
    if (signal === null || isStopping) {
      void close()
      process.exitCode = code ?? 1
    } else console.log(`  The node was killed. It comes back with: node examples/shop/start.mjs node`)
  })
  await ready(node)
  const processes = services.map(({ name, port }, index) => ({
    ...{ name, url: `http://127.0.0.1:${port}`, pid: children[index]?.pid },
  }))
  console.log(welcome([...processes, { name: 'the node', url: ADMIN, pid: node.pid }]))
}

async function bringNodeBack() {
  const node = startNode()
  process.on('SIGINT', () => node.kill('SIGINT'))
  process.on('SIGTERM', () => node.kill('SIGTERM'))
  node.on('exit', (code) => (process.exitCode = code ?? 1))
  await ready(node)
  console.log(`the node is back, pid ${node.pid}`)
}

/**
 * @param {string} name
 * @param {number} port
 */
async function bringBack(name, port) {
  const { SHOP_POSTGRES: postgres } = process.env
  const services = [...SERVICES, ...SPARES, ...(postgres ? [legacy(postgres)] : [])]
  const service = services.find((each) => each.name === name && each.port === port)
  const known = [...services, { name: 'node', port: '' }].map((each) => `${each.name} ${each.port}`.trim())
  if (!service) throw new Error(`There is no ${name} ${port}; there are: ${known.join(', ')}`)
  const child = await startService(service)
  console.log(`${name} on ${port} ${SPARES.includes(service) ? 'has joined' : 'is back'}, pid ${child.pid}`)
}
