// @ts-check
import { createServer } from 'node:http'

/** How it misbehaves at the moment; set by messages of the parent. */
let mode = 'heal'
process.on('message', (message) => (mode = String(message)))
process.on('disconnect', () => process.exit(0))

/** Answers with the id it was asked for, what it received, and as many bytes as it was asked for. */
const server = createServer((request, response) => {
  let received = 0
  request.on('data', (data) => (received += data.length))
  request.on('error', () => undefined)
  request.on('end', () => {
    const url = new URL(request.url ?? '/', 'http://localhost')
    const body = `${url.pathname.slice(1)}:${received}:${'x'.repeat(Number(url.searchParams.get('size')))}`
    if (mode === 'fail') response.writeHead(503).end('failing on purpose')
    else if (mode === 'reset') request.socket.resetAndDestroy()
    else if (mode === 'slow') setTimeout(() => response.end(body), 600)
    else if (mode === 'short') {
      response.writeHead(200, { 'Content-Length': body.length })
      response.write(body.slice(0, body.length / 2), () => request.socket.destroy())
    } else response.end(body)
  })
})
server.listen(Number(process.env['PORT']), '127.0.0.1', () => process.send?.('ready'))
