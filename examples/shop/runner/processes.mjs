// @ts-check
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

/** @param {string} path relative to the folder of the example */
const here = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url))

export const GATEWAY = 'http://127.0.0.1:8080'
export const ADMIN = 'http://127.0.0.1:8081'
export const SECOND_GATEWAY = 'http://127.0.0.1:8082'
export const SECOND_ADMIN = 'http://127.0.0.1:8083'
/** For playing, as the keys below: `echo whsec_$(openssl rand -base64 32)` makes a real one. */
const NOTIFICATIONS_SECRET = 'whsec_dGhpcyBzZWNyZXQgaXMgZm9yIHBsYXlpbmcgb25seQ=='
const ENV = {
  ...process.env,
  /** Where everything is kept; remove it to begin anew. */
  SHOP_DATA: resolve(process.env['SHOP_DATA'] ?? here('data')),
  SHOP_PAGE: here('page'),
  GATEWAY,
  ADMIN,
  PAYMENTS: 'http://127.0.0.1:4003',
  NOTIFICATIONS: 'http://127.0.0.1:4006',
  HISTORY: 'http://127.0.0.1:4012',
  NOTIFICATIONS_SECRET,
}

/** @typedef {{ name: string, port: number, env?: Record<string, string> }} Service */
/** @typedef {import('node:child_process').ChildProcess} ChildProcess */

/** @type {Service[]} */
export const SERVICES = [
  { name: 'storefront', port: 4000 },
  { name: 'catalog', port: 4001 },
  { name: 'catalog', port: 4002 },
  { name: 'payments', port: 4003 },
  { name: 'orders', port: 4004 },
  { name: 'shipping', port: 4005, env: { SHIPPING_KEY: 'shop-shipping-key' } },
  { name: 'notifications', port: 4006 },
  { name: 'inventory', port: 4007 },
  { name: 'reports', port: 4009 },
  { name: 'reports', port: 4010 },
  { name: 'history', port: 4012 },
]

/**
 * Not there at first: another one, which the gateway finds in the registry.
 *
 * @type {Service[]}
 */
export const SPARES = [{ name: 'reports', port: 4011 }]

/**
 * An old system on PostgreSQL.
 *
 * @param {string} url
 * @returns {Service}
 */
export const legacy = (url) => ({ name: 'legacy', port: 4008, env: { SHOP_POSTGRES: url } })

/** @typedef {{ name: string, port: number, admin: string, gateway: string, config: string }} Node */

/** The gateway with the event log and the sagas; and another one, which shares the coordination with it. */
export const NODES = /** @type {const} */ ([
  { name: 'first node', port: 8080, admin: ADMIN, gateway: GATEWAY, config: 'banyan.yaml' },
  { name: 'second node', port: 8082, admin: SECOND_ADMIN, gateway: SECOND_GATEWAY, config: 'second.yaml' },
])

/**
 * `banyan up`. Ctrl-C goes to this process alone.
 *
 * @param {Node} node
 */
export function startNode({ config, gateway }) {
  return fork(here('../../dist/cli/main.js'), ['up', '-c', here(config)], {
    cwd: here('../..'),
    execArgv: ['--import', import.meta.resolve('./leave.mjs')],
    detached: true,
    env: { ...ENV, GATEWAY: gateway, FULFILMENT_KEY: 'shop-fulfilment-key' },
  })
}

/**
 * Starts a service process and waits until it answers.
 *
 * @param {Service} service
 * @param {boolean} detached whether Ctrl-C goes to this process alone, which then stops the service when the gateway needs
 *   it no more
 * @returns {Promise<ChildProcess>}
 */
export function startService({ name, port, env }, detached = false) {
  const child = fork(here(`services/${name}.mjs`), {
    detached,
    env: { ...ENV, ...env, PORT: String(port) },
  })
  return new Promise((resolve, reject) => {
    child.once('message', () => resolve(child))
    child.once('exit', () => reject(new Error(`${name} on port ${port} has not started`)))
  })
}

/**
 * Waits until a node is ready.
 *
 * @param {Node} node
 * @param {ChildProcess} child
 */
export async function ready({ name, admin }, child) {
  while (!isOver(child)) {
    const answer = await fetch(`${admin}/readyz`).catch(() => undefined)
    if (answer?.ok) return
    await wait(50)
  }
  throw new Error(`the ${name} has not started`)
}

/** @param {ChildProcess} child */
function isOver({ exitCode, signalCode }) {
  return exitCode !== null || signalCode !== null
}

/**
 * Waits until processes are over.
 *
 * @param {ChildProcess[]} children
 */
export async function over(children) {
  await Promise.all(children.map((child) => isOver(child) || once(child, 'exit')))
}
