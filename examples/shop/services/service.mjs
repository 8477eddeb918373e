// @ts-check
import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'

/** @typedef {import('node:http').IncomingMessage} Request */
/** @typedef {import('node:http').ServerResponse} Response */

/**
 * A service of the example: answers JSON, says which process answered, and leaves when it is asked to.
 *
 * @param {string} name
 * @param {(request: Request, url: URL, response: Response) => unknown} answer returns what to send as JSON, or throws a
 *   {@link problem}
 * @param {() => unknown} close what is to be closed in the end
 * @param {{ arrive?: () => unknown, depart?: () => unknown }} hooks `arrive`: what is done before it says that it is ready;
 *   `depart`: what is done before it stops listening
 */
export function startService(name, answer, close = () => undefined, { arrive, depart } = {}) {
  const port = Number(process.env['PORT'])
  const servedBy = `${name} on ${port}, pid ${process.pid}`
  const server = createServer((request, response) => {
    void (async () => {
      let status = 200
      let type = 'application/json'
      let body
      try {
        body = await answer(request, new URL(request.url ?? '/', 'http://localhost'), response)
      } catch (error) {
        const { status: failed, message } = /** @type {{ status?: number, message: string }} */ (error)
        if (!failed) console.error(`${name}:`, error)
        status = failed ?? 500
        type = 'application/problem+json'
        body = { status, detail: failed ? message : 'something went wrong' }
      }
      if (response.destroyed) return
      response.writeHead(status, { 'Content-Type': type })
      response.end(JSON.stringify({ .../** @type {object} */ (body), servedBy }))
    })()
  })
  server.listen(port, '127.0.0.1', async () => {
    try {
      await arrive?.()
    } catch (error) {
      fail(/** @type {Error} */ (error))
    }
    // The runner may have gone before anybody listened for that.
    if (process.connected === false) leave()
    else process.send?.('ready')
  })
  const fail = (/** @type {Error} */ error) => {
    console.error(`${name}: ${error.message}`)
    process.exit(1)
  }
  server.on('error', fail)
  const leave = async () => {
    await depart?.()
    server.close(() => void Promise.resolve(close()).finally(() => process.exit(0)))
    server.closeIdleConnections()
  }
  process.once('SIGTERM', leave)
  // The runner is gone, killed perhaps.
  process.once('disconnect', leave)
  // Ctrl-C reaches every process of the terminal; the runner decides when this one stops.
  process.on('SIGINT', () => undefined)
}

/**
 * To be thrown: what the client is told, as a problem document (RFC 9457).
 *
 * @param {number} status
 * @param {string} detail
 */
export function problem(status, detail) {
  return Object.assign(new Error(detail), { status })
}

/**
 * The JSON of a request; nothing is the same as `{}`.
 *
 * @param {Request} request
 * @returns {Promise<any>}
 */
export async function bodyOf(request) {
  const body = await text(request)
  try {
    return body ? JSON.parse(body) : {}
  } catch (error) {
    throw problem(400, `the body is no JSON: ${/** @type {Error} */ (error).message}`)
  }
}
