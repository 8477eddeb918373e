import type { Duplex } from 'node:stream'

/**
 * Joins two connections after a switch of protocols: bytes both ways, each side no faster than the other takes them;
 * the end of one side is passed on, an error closes both.
 */
export function tunnel(client: Duplex, upstream: Duplex): void {
  relay(client, upstream)
  relay(upstream, client)
}

function relay(from: Duplex, to: Duplex): void {
  from.on('data', (data: Buffer) => {
    if (!to.write(data)) from.pause()
  })
  to.on('drain', () => from.resume())
  from.on('end', () => to.end())
  from.on('close', () => closeAfterWriting(to))
  from.resume()
}

/** What was written still goes out. */
function closeAfterWriting(stream: Duplex): void {
  if (stream.writableFinished) stream.destroy()
  else stream.once('finish', () => stream.destroy()).end()
}
