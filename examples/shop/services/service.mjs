// @ts-check
import { createServer } from 'node:http'

/**
 * A service of the example: answers JSON, says which process answered, and leaves when it is asked to.
 *
 * @param {string} name
 * @param {(request: import('node:http').IncomingMessage, url: URL) => unknown} answer returns what to send as JSON,
 *   or throws `{ status, detail }`
 */
export function startService(name, answer) {
  const port = Number(process.env['PORT'])
  const server = createServer((request, response) => {
    void (async () => {
      request.resume()
      let status = 200
      let body
      try {
        body = await answer(request, new URL(request.url ?? '/', 'http://localhost'))
      } catch (error) {
        const { status: failed = 500, detail = 'something went wrong' } = /** @type {any} */ (error)
        status = failed
        body = { error: detail }
      }
      if (response.destroyed) return
      response.writeHead(status, { 'Content-Type': 'application/json' })
      response.end(
        JSON.stringify({
          .../** @type {object} */ (body),
          servedBy: `${name} on ${port}, pid ${process.pid}`,
        }),
      )
    })()
  })
  server.listen(port, '127.0.0.1', () => process.send?.('ready'))
  server.on('error', (error) => {
    console.error(`${name}: cannot listen on port ${port}: ${error.message}`)
    process.exit(1)
  })
  process.on('SIGTERM', () => {
    server.close(() => process.exit(0))
    server.closeIdleConnections()
  })
  // Ctrl-C reaches every process of the terminal; the runner decides when this one stops.
  process.on('SIGINT', () => undefined)
  process.on('disconnect', () => process.exit(0))
}
