import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { mutated, readPieces, validRequest, validResponse, type Reading } from '../support/http-messages.js'
import { NodeRequestReader, readResponseWithNode } from '../support/node-parser.js'

/**
 * Our reader and Node's own, message by message. Where both accept they must agree on every byte. Where one refuses,
 * the difference must be one of these, each with its reason.
 */
interface Difference {
  reason: string
  applies: (text: string) => boolean
}

const headOf = (text: string): string => text.slice(0, text.indexOf('\r\n\r\n') + 2)
const count = (text: string, pattern: RegExp): number => headOf(text).match(pattern)?.length ?? 0

const WE_REFUSE: Difference[] = [
  {
    reason: 'two Host fields: the next hop may take the other one',
    applies: (text) => count(text, /^host[ \t]*:/gim) > 1,
  },
  {
    reason: 'Transfer-Encoding does not exist in HTTP/1.0',
    applies: (text) => text.includes('HTTP/1.0\r\n') && /^transfer-encoding:/im.test(text),
  },
  {
    reason: 'a Host that is no host',
    applies: (text) => !/^host:[ \t]*([a-z0-9.\-_~!$&'()*+,;=%]+(:\d{0,5})?)?[ \t]*\r$/im.test(headOf(text)),
  },
  {
    reason: 'a target with a fragment, or bytes outside of ASCII',
    applies: (text) => /^[A-Z]+ [^ ]*[#\x7f-\xff]/.test(text.trimStart()),
  },
  {
    reason: 'a target that is neither a path nor a URL',
    applies: (text) => !/^\s*[^ ]+ (\/|\*|https?:)/i.test(text),
  },
  {
    reason: 'a method that is only a token to us, or unknown to Node',
    applies: (text) => !/^\s*(GET|POST|PUT|DELETE|PATCH|OPTIONS|HEAD) /.test(text),
  },
  {
    reason: 'an expectation that nobody can meet, or a coding that we do not know',
    applies: (text) => /^(expect|transfer-encoding):/im.test(text),
  },
  {
    reason: 'more than one empty line before the request',
    applies: (text) => /^(\r\n|\n|\r){1,}/.test(text),
  },
  { reason: 'a bare LF or CR somewhere', applies: (text) => /[^\r]\n|\r[^\n]/.test(text) },
  {
    reason: 'white space between a chunk size and its end',
    applies: (text) => /\r\n[0-9a-f]+[ \t]+(\r|;)/i.test(text),
  },
  {
    reason: 'a Content-Length that is empty or padded',
    applies: (text) => /^content-length:[ \t]*(\r|[^0-9])/im.test(text),
  },
  {
    reason: 'more white space in the request line than two single spaces',
    applies: (text) => /^\s*[^\r\n]*( {2}|\t)[^\r\n]*\r\n/.test(text),
  },
  {
    reason: 'a request line without a version: HTTP/0.9',
    applies: (text) => !/^\s*[^\r\n]* HTTP\/1\.[01]\r\n/.test(text),
  },
  {
    reason: 'a tab beside the value of a framing field',
    applies: (text) => /^(transfer-encoding|content-length):[^\r]*\t/im.test(text),
  },
]

const NODE_REFUSES: Difference[] = [
  {
    reason: 'a method that Node does not know; any token is one (RFC 9110 9.1)',
    applies: (text) => !/^\s*(GET|POST|PUT|DELETE|PATCH|OPTIONS|HEAD) /.test(text),
  },
  {
    reason:
      'Node waits for the end of an invalid body, or gives up on it, after it has handed the request over',
    applies: (text) => /^(transfer-encoding|content-length):/im.test(text),
  },
]

function explain(differences: readonly Difference[], text: string): string | undefined {
  return differences.find(({ applies }) => applies(text))?.reason
}

const first = ({ messages }: Reading) => messages[0]

describe('against the parser of Node', () => {
  const node = new NodeRequestReader()

  test('valid requests are read the same, to the byte', async () => {
    await fc.assert(
      fc.asyncProperty(validRequest, async (bytes) => {
        expect(readPieces('request', [bytes])).toEqual(await node.read(bytes))
      }),
      { numRuns: 1_000 },
    )
  })

  test('valid responses are read the same, to the byte', async () => {
    await fc.assert(
      fc.asyncProperty(validResponse, async (bytes) => {
        expect(readPieces('response', [bytes])).toEqual(await readResponseWithNode(bytes))
      }),
      { numRuns: 500 },
    )
  })

  test('of broken requests, those that both accept are read the same; every other difference has a reason', async () => {
    await fc.assert(
      fc.asyncProperty(mutated(validRequest), async (bytes) => {
        const text = bytes.toString('latin1')
        const ours = readPieces('request', [bytes])
        const theirs = await node.read(bytes)
        const weTook = first(ours)?.complete === true
        const nodeTook = first(theirs)?.complete === true
        if (weTook && nodeTook) expect(first(ours)).toEqual(first(theirs))
        else if (nodeTook) expect(explain(WE_REFUSE, text), `we refuse ${JSON.stringify(text)}`).toBeDefined()
        else if (weTook)
          expect(explain(NODE_REFUSES, text), `Node refuses ${JSON.stringify(text)}`).toBeDefined()
      }),
      { numRuns: 3_000 },
    )
  })
})
