// @ts-check
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** @param {string} path relative to this file */
const here = (path) => fileURLToPath(new URL(path, import.meta.url))

const GATEWAY = 'http://127.0.0.1:8080'
const ADMIN = 'http://127.0.0.1:8081'
const ENV = {
  ...process.env,
  /** Where everything is kept; remove it to begin anew. */
  SHOP_DATA: process.env['SHOP_DATA'] ?? here('data'),
  SHOP_PAGE: here('page'),
  GATEWAY,
  ADMIN,
  NOTIFICATIONS: 'http://127.0.0.1:4006',
  /** For playing, as the key below: `echo whsec_$(openssl rand -base64 32)` makes a real one. */
  NOTIFICATIONS_SECRET: 'whsec_dGhpcyBzZWNyZXQgaXMgZm9yIHBsYXlpbmcgb25seQ==',
}
/** @type {{ name: string, port: number, key?: string }[]} */
const SERVICES = [
  { name: 'storefront', port: 4000 },
  { name: 'catalog', port: 4001 },
  { name: 'catalog', port: 4002 },
  { name: 'payments', port: 4003 },
  { name: 'orders', port: 4004 },
  { name: 'shipping', port: 4005, key: 'shop-shipping-key' },
  { name: 'notifications', port: 4006 },
]

// One process alone, to bring back what was killed: node examples/shop/start.mjs catalog 4001, or: ... start.mjs node
const [only, onlyPort] = process.argv.slice(2)
if (only === 'node') {
  const node = startNode()
  process.on('SIGINT', () => node.kill('SIGINT'))
  process.on('SIGTERM', () => node.kill('SIGTERM'))
  node.on('exit', (code) => (process.exitCode = code ?? 1))
  await answering(`${ADMIN}/readyz`, node)
  console.log(`the node is back, pid ${node.pid}`)
} else if (only) {
  const key = SERVICES.find(({ name }) => name === only)?.key
  const child = await startService({ name: only, port: Number(onlyPort), ...(key && { key }) })
  console.log(`${only} on ${onlyPort} is back, pid ${child.pid}`)
} else {
  await startEverything()
}

async function startEverything() {
  const children = await Promise.all(SERVICES.map((service) => startService(service, true)))
  const node = startNode()
  const close = () => {
    for (const child of children) child.kill()
  }
  let isStopping = false
  const stop = (/** @type {NodeJS.Signals} */ signal) => {
    isStopping = true
    // The gateway goes first, so that no request meets a service that has gone.
    if (!node.kill(signal)) close()
  }
  process.on('SIGINT', () => stop('SIGINT'))
  process.on('SIGTERM', () => stop('SIGTERM'))
  process.on('SIGHUP', () => stop('SIGTERM'))
  node.on('exit', (code, signal) => {
    if (signal === null || isStopping) {
      close()
      process.exitCode = code ?? 1
    } else console.log(`  The node was killed. It comes back with: node examples/shop/start.mjs node`)
  })
  await answering(`${ADMIN}/readyz`, node)
  const pids = children.map((child, index) => {
    const { name, port } = /** @type {{ name: string, port: number }} */ (SERVICES[index])
    return `    ${name.padEnd(13)} http://127.0.0.1:${port}   pid ${child.pid}`
  })
  const failing = 'http://127.0.0.1:4003/payments/failing'
  const ideas = [
    ['npx banyan status', 'what the gateway sees, live'],
    ['npm run traffic', 'clients, and what they get'],
    [`kill ${children[1]?.pid}`, 'a catalog process dies; clients do not notice'],
    ['node examples/shop/start.mjs catalog 4001', 'and comes back'],
    [`curl -X PUT ${failing}/0.9`, 'payments get much worse; the breaker opens'],
    [`curl -X PUT ${failing}/0`, 'and well again'],
    [`curl -X POST '${GATEWAY}/orders/fig?customer=ada'`, 'an order, and what becomes of it:'],
    [`curl -X POST ${GATEWAY}/orders/ORDER/pay`, 'it is shipped in ten seconds; or /cancel, /undo, /redo'],
    [`curl '${GATEWAY}/orders/ORDER?revision=0'`, 'as it was; /audit tells who did what'],
    [`curl -X POST '${GATEWAY}/orders/fig?customer=nobody'`, 'a message that cannot be delivered'],
    [`npx banyan subscriptions show notifications -a ${ADMIN}`, 'is parked, and says why; all others flow'],
  ]
  console.log(`
  The shop is open:  ${GATEWAY}

${pids.join('\n')}
    ${'the node'.padEnd(13)} ${ADMIN}   pid ${node.pid}

  Try, in another terminal:
${ideas.map(([command = '', effect]) => `    ${command.padEnd(75)} ${effect}`).join('\n')}

  Ctrl-C stops everything.
`)
}

/** The gateway with the event log: `banyan up`. Ctrl-C goes to this process alone. */
function startNode() {
  return fork(here('../../dist/cli/main.js'), ['up', '-c', here('banyan.yaml')], {
    execArgv: ['--import', import.meta.resolve('./leave.mjs')],
    detached: true,
    env: ENV,
  })
}

/**
 * Starts a service process and waits until it answers.
 *
 * @param {{ name: string, port: number, key?: string }} service
 * @param {boolean} detached whether Ctrl-C goes to this process alone, which then stops the service when the gateway needs
 *   it no more
 * @returns {Promise<import('node:child_process').ChildProcess>}
 */
function startService({ name, port, key }, detached = false) {
  const child = fork(here(`services/${name}.mjs`), {
    detached,
    env: { ...ENV, PORT: String(port), EVENTS_KEY: key ?? '' },
  })
  return new Promise((resolve, reject) => {
    child.once('message', () => resolve(child))
    child.once('exit', (code) => reject(new Error(`${name} on port ${port} ended with code ${code}`)))
  })
}

/**
 * @param {string} url
 * @param {import('node:child_process').ChildProcess} node whose end ends the waiting
 */
async function answering(url, node) {
  while (node.exitCode === null) {
    const ready = await fetch(url).then(
      (answer) => answer.ok,
      () => false,
    )
    if (ready) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  process.exit(node.exitCode)
}
