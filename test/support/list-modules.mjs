// @ts-check
/** Imports what the first argument names and prints every module that was loaded for it. */
import { register } from 'node:module'
import { MessageChannel } from 'node:worker_threads'

const { port1, port2 } = new MessageChannel()
/** @type {string[]} */
const loaded = []
port1.on('message', (url) => loaded.push(url))
const hooks = `
  let port
  export function initialize(data) { port = data.port }
  export async function load(url, context, next) {
    port.postMessage(url)
    return next(url, context)
  }`
register(`data:text/javascript,${encodeURIComponent(hooks)}`, {
  data: { port: port2 },
  transferList: [port2],
})
await import(/** @type {string} */ (process.argv[2]))
// One more turn, so that the last message is in.
await new Promise((resolve) => setTimeout(resolve, 50))
console.log(JSON.stringify(loaded))
process.exit(0)
