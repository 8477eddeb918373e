// @ts-check
import { watchNpm } from './runner/parent.mjs'
import { free } from './runner/ports.mjs'
import { openPostgres } from './runner/postgres.mjs'
import { NODES, SERVICES, SPARES, legacy, over, ready, startNode, startService } from './runner/processes.mjs'
import { welcome } from './runner/welcome.mjs'

/** Signals within that time are one, in ms. */
const ONCE = 300

// Everything: node examples/shop/start.mjs [--postgres]
// One process alone, to bring back what was killed: node examples/shop/start.mjs catalog 4001, or: ... start.mjs node 8080
const [first, port] = process.argv.slice(2)
try {
  if (first === undefined || first === '--postgres') await startEverything(first === '--postgres')
  else if (first === 'node') await bringNodeBack(Number(port ?? NODES[0].port))
  else await bringBack(first, Number(port))
} catch (error) {
  // What has started leaves, as this process is gone.
  console.error(`\n  ${/** @type {Error} */ (error).message}\n`)
  process.exit(1)
}

/** @param {boolean} ownPostgres */
async function startEverything(ownPostgres) {
  await free([
    ...NODES.flatMap(({ port, admin }) => [port, Number(new URL(admin).port)]),
    4008,
    ...SERVICES.map(({ port }) => port),
  ])
  const postgres = await openPostgres(ownPostgres)
  const services = [...SERVICES, ...(postgres.url ? [legacy(postgres.url)] : [])]
  const children = await Promise.all(services.map((service) => startService(service, true)))
  const nodes = NODES.map((node) => ({ ...node, child: startNode(node) }))
  const close = async () => {
    for (const child of children) child.kill()
    await over(children)
    await postgres.stop()
  }
  let isStopping = false
  let last = -Infinity
  const stop = (/** @type {NodeJS.Signals} */ signal) => {
    // The terminal has sent it, and npm passes it on: that is once.
    if (performance.now() - last < ONCE) return
    last = performance.now()
    // The gateways go first, so that no request meets a service that has gone.
    for (const { child } of nodes) child.kill(signal)
    if (!isStopping) void over(nodes.map(({ child }) => child)).then(close)
    isStopping = true
  }
  process.on('SIGINT', () => stop('SIGINT'))
  process.on('SIGTERM', () => stop('SIGTERM'))
  process.on('SIGHUP', () => stop('SIGTERM'))
  watchNpm(() => stop('SIGTERM'))
  for (const { name, port, child } of nodes)
    child.on('exit', (code, signal) => {
      if (signal !== null && !isStopping) {
        console.log(`  The ${name} was killed. It comes back with: node examples/shop/start.mjs node ${port}`)
        return
      }
      process.exitCode ||= code ?? 1
      if (!isStopping) stop('SIGTERM')
    })
  await Promise.all(nodes.map((node) => ready(node, node.child)))
  const running = services.map(({ name, port }, index) => ({ name, port, pid: children[index]?.pid }))
  console.log(welcome([...running, ...nodes.map(({ child, ...node }) => ({ ...node, pid: child.pid }))]))
}

/** @param {number} port */
async function bringNodeBack(port) {
  const node = NODES.find((each) => each.port === port)
  if (!node)
    throw new Error(`There is no node ${port}; there are: ${NODES.map((each) => each.port).join(', ')}`)
  const child = startNode(node)
  process.on('SIGINT', () => child.kill('SIGINT'))
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  child.on('exit', (code) => (process.exitCode = code ?? 1))
  await ready(node, child)
  console.log(`the ${node.name} is back, pid ${child.pid}`)
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
