import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readPieces, type Reading } from '../../../test/support/http-messages.js'
import { NodeRequestReader, readResponseWithNode } from '../../../test/support/node-parser.js'
import { Fields } from './fields.js'
import { MessageWriter, type BodyFraming, type Output } from './writer.js'

/** Takes what is written, as a socket would. */
class Tape implements Output {
  readonly #parts: Buffer[] = []
  corked = 0

  cork(): void {
    this.corked++
  }
  uncork(): void {
    this.corked--
  }
  write(data: Buffer | string, encoding?: BufferEncoding): boolean {
    this.#parts.push(typeof data === 'string' ? Buffer.from(data, encoding) : data)
    return true
  }
  get bytes(): Buffer {
    return Buffer.concat(this.#parts)
  }
}

interface Message {
  framing: BodyFraming
  fields: [string, string][]
  parts: Buffer[]
  trailers: [string, string][]
  /** Before which of the parts the head is asked out. */
  flushAt: number
}

const name = fc.stringMatching(/^X-[A-Za-z0-9!#$%&'*+.^_`|~-]{1,12}$/)
const value = fc.stringMatching(/^([!-~\xa0-\xff]([ -~\xa0-\xff]{0,20}[!-~\xa0-\xff])?)?$/)
const fields = fc.array(fc.tuple(name, value), { maxLength: 6 })
/** Parts of every size that is treated in a way of its own: nothing, a few bytes, and more than is joined. */
const part = fc
  .tuple(fc.constantFrom(0, 1, 15, 16, 17, 255, 8_191, 8_192, 8_193, 70_000), fc.nat(255))
  .map(([size, seed]) => Buffer.from(Array.from({ length: size }, (_, index) => (seed + index * 7) & 0xff)))

const message: fc.Arbitrary<Message> = fc.record({
  framing: fc.constantFrom('none', 'length', 'chunked'),
  fields,
  parts: fc.array(part, { maxLength: 4 }),
  trailers: fields,
  flushAt: fc.nat(5),
})

function write(startLine: string, { framing, fields, parts, trailers, flushAt }: Message): Buffer {
  let head = `${startLine}\r\n`
  for (const [name, value] of fields) head += `${name}: ${value}\r\n`
  if (framing === 'length') head += `Content-Length: ${Buffer.concat(parts).length}\r\n`
  if (framing === 'chunked') head += 'Transfer-Encoding: chunked\r\n'
  const tape = new Tape()
  const writer = new MessageWriter(tape, head, framing)
  if (framing !== 'none') {
    parts.forEach((part, index) => {
      if (index === flushAt) writer.flush()
      writer.data(part)
    })
  }
  writer.end(Fields.of(trailers))
  expect(tape.corked).toBe(0)
  return tape.bytes
}

/** What a reader should make of it. */
function meant(start: string, { framing, fields, parts, trailers }: Message): Reading {
  const framingFields: Record<BodyFraming, [string, string][]> = {
    none: [],
    length: [['Content-Length', String(Buffer.concat(parts).length)]],
    chunked: [['Transfer-Encoding', 'chunked']],
  }
  return {
    messages: [
      {
        start,
        fields: [...fields, ...framingFields[framing]],
        body: framing === 'none' ? '' : Buffer.concat(parts).toString('latin1'),
        trailers: framing === 'chunked' ? trailers : [],
        complete: true,
      },
    ],
  }
}

describe('what is written is read as it was meant', () => {
  const requestOf = (each: Message): Message => ({ ...each, fields: [['Host', 'a'], ...each.fields] })

  test('a request, by our reader', () => {
    fc.assert(
      fc.property(message.map(requestOf), (each) => {
        expect(readPieces('request', [write('POST /x HTTP/1.1', each)])).toEqual(meant('POST /x 1.1', each))
      }),
      { numRuns: 300 },
    )
  })

  test('a request, by the parser of Node', async () => {
    const node = new NodeRequestReader()
    await fc.assert(
      fc.asyncProperty(message.map(requestOf), async (each) => {
        expect(await node.read(write('POST /x HTTP/1.1', each))).toEqual(meant('POST /x 1.1', each))
      }),
      { numRuns: 200 },
    )
  })

  // Without a length a response would last until its connection ends, so there always is one.
  const responseOf = (each: Message): Message => ({
    ...each,
    framing: each.framing === 'none' ? 'length' : each.framing,
  })

  test('a response, by our reader', () => {
    fc.assert(
      fc.property(message.map(responseOf), (each) => {
        expect(readPieces('response', [write('HTTP/1.1 200 OK', each)])).toEqual(meant('200 OK 1.1', each))
      }),
      { numRuns: 300 },
    )
  })

  test('a response, by the parser of Node', async () => {
    await fc.assert(
      fc.asyncProperty(message.map(responseOf), async (each) => {
        expect(await readResponseWithNode(write('HTTP/1.1 200 OK', each))).toEqual(meant('200 OK 1.1', each))
      }),
      { numRuns: 200 },
    )
  })

  test('one after another on the same connection', () => {
    fc.assert(
      fc.property(fc.array(message.map(requestOf), { minLength: 2, maxLength: 4 }), (several) => {
        const bytes = Buffer.concat(several.map((each) => write('POST /x HTTP/1.1', each)))
        expect(readPieces('request', [bytes]).messages).toEqual(
          several.flatMap((each) => meant('POST /x 1.1', each).messages),
        )
      }),
      { numRuns: 100 },
    )
  })
})

describe('the head', () => {
  const head = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n'

  test('waits for the first part of the body, and goes out with it in one write', () => {
    const writes: unknown[] = []
    const output: Output = {
      cork: () => undefined,
      uncork: () => undefined,
      write: (data) => writes.push(data) > 0,
    }
    const writer = new MessageWriter(output, head, 'length')
    expect(writes).toEqual([])
    writer.data(Buffer.from('hi'))
    expect(writes).toEqual([`${head}\r\nhi`])
    writer.end(undefined)
    expect(writes).toHaveLength(1)
  })

  test('goes out at once when it is asked to, and only once', () => {
    const tape = new Tape()
    const writer = new MessageWriter(tape, head, 'length')
    writer.flush()
    writer.flush()
    expect(tape.bytes.toString()).toBe(`${head}\r\n`)
  })
})

test('a full output is told to whoever writes, whatever the framing and the size', () => {
  const full: Output = { cork: () => undefined, uncork: () => undefined, write: () => false }
  for (const framing of ['length', 'chunked'] as const) {
    for (const size of [10, 10_000]) {
      const writer = new MessageWriter(full, 'HTTP/1.1 200 OK\r\n', framing)
      expect([writer.data(Buffer.alloc(size)), writer.data(Buffer.alloc(size))]).toEqual([false, false])
    }
  }
})
