import { StringDecoder } from 'node:string_decoder'

/** Lines of what comes in pieces; what comes behind the last end of a line is none. */
export async function* linesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<string, void> {
  const decoder = new StringDecoder('utf8')
  const pieces: string[] = []
  for await (const chunk of chunks) {
    const [first, ...others] = decoder.write(chunk).split('\n') as [string, ...string[]]
    pieces.push(first)
    for (const other of others) {
      const line = pieces.splice(0).join('')
      if (line !== '') yield line
      pieces.push(other)
    }
  }
}
