import type { Socket } from 'node:net'

/**
 * Joins two connections after a switch of protocols: bytes both ways, each side no faster than the other takes them;
 * the end of one side is passed on, an error closes both.
 */
export function tunnel(client: Socket, upstream: Socket): void {
  relay(client, upstream)
  relay(upstream, client)
}

function relay(from: Socket, to: Socket): void {
  from.on('data', (data: Buffer) => {
    if (!to.write(data)) from.pause()
  })
  to.on('drain', () => from.resume())
  from.on('end', () => to.end())
  from.on('close', () => to.destroySoon())
  from.resume()
}
