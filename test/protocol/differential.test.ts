import fc from 'fast-check'
import { METHODS } from 'node:http'
import { describe, expect, test } from 'vitest'
import { times } from '../support/effort.js'
import { mutated, readPieces, validRequest, validResponse, type Reading } from '../support/http-messages.js'
import { NodeRequestReader, readResponseWithNode } from '../support/node-parser.js'

/**
 * Our reader and Node's own, message by message. Where both take a message they must agree on every byte of it. Where
 * only one does, the difference must be one of these, each with its reason.
 */
interface Difference {
  reason: string
  /** What we say about it. Absent where we take what Node does not. */
  because?: RegExp
  /** What the bytes look like, where the words alone do not tell it. */
  shape?: (text: string, method: string) => boolean
}

const requestLine = (text: string): string => /^[^\n]*/.exec(text.replace(/^[\r\n]+/, ''))![0]

const ONLY_NODE_TAKES: Record<'request' | 'response', Difference[]> = {
  request: [
    { reason: 'the next hop may take the other Host', because: /^There is more than one Host/ },
    { reason: 'a Host that is no host cannot be routed by', because: /^The Host is not valid/ },
    {
      reason: 'Transfer-Encoding came with HTTP/1.1',
      because: /^Transfer-Encoding does not exist in HTTP\/1\.0/,
    },
    { reason: 'some take a tab for a part of the value', because: /a tab stands in a framing field$/ },
    {
      reason: 'a list of codings may be read in another way than a single one, empty members too',
      because: /^The only transfer coding supported here is chunked/,
      shape: (text) =>
        /^transfer-encoding:(?! *chunked *\r)[^]*chunked/im.test(text) ||
        /(^transfer-encoding:[^]*){2}/im.test(text),
    },
    {
      reason: 'an offer to switch protocols does not make an unknown coding harmless',
      because: /^The only transfer coding supported here is chunked/,
      shape: (text) => /^upgrade:/im.test(text) && /^connection:.*upgrade/im.test(text),
    },
    {
      reason: 'between the parts of a request line there is one space',
      because: /the HTTP version is not valid$/,
      shape: (text) => / {2}HTTP\//.test(requestLine(text)),
    },
    {
      reason: 'a target has no fragment and only ASCII, and is a path or a URL',
      because: /(the|The) request target is not valid$/,
      shape: (text) => !/^[A-Z]+ [!"$-~]+ /.test(requestLine(text)) || !/^[A-Z]+ \//.test(requestLine(text)),
    },
    {
      reason: 'HTTP/0.9 has neither a version nor fields',
      because: /the request target is not valid$/,
      shape: (text) => !requestLine(text).includes(' HTTP/'),
    },
    {
      reason: 'before a request one empty line is forgiven, whole (RFC 9112 2.2)',
      because: /(a CR stands alone|the request line has no valid method)$/,
      shape: (text) => /^(\r\n)?[\r\n]/.test(text),
    },
    { reason: 'no other expectation can be met here', because: /^The only expectation met here/ },
  ],
  response: [
    { reason: 'some take a tab for a part of the value', because: /a tab stands in a framing field$/ },
    {
      reason: 'Transfer-Encoding came with HTTP/1.1',
      because: /^The response has a Transfer-Encoding, but is HTTP\/1\.0/,
    },
    {
      reason: 'without a known coding at the end nobody knows where the body ends',
      because: /^The response has a transfer coding other than chunked/,
    },
    {
      reason: 'a status is one of 100 to 599, in three digits',
      because: /the status is not valid$/,
      shape: (text) => !/^HTTP\/1\.[01] [1-5][0-9]{2}[ \r]/.test(text),
    },
    {
      reason: 'a status line has no control characters and ends in CRLF',
      because: /(the status line does not end in CRLF|a CR stands alone)$/,
      shape: (text) => !/^[ -~\x80-\xff]+\r\n/.test(text),
    },
    {
      reason: 'an answer begins with its status line',
      because: /the status line is not valid$/,
      shape: (text) => /^[\r\n]/.test(text),
    },
  ],
}

const OF_CHUNKS: Difference[] = [
  {
    reason: 'an extension that is not a name, or a name and a value, is dropped like every other',
    shape: (text) => /\r\n[0-9a-f]+;(?![\w-]+(=[\w-]+)?\r\n)[^\r]*\r\n/i.test(text),
  },
  {
    reason: 'a field of framing behind a body means nothing, and the gateway drops it',
    shape: (text) => /\r\n0(;[^\r]*)?\r\n([^\r]+\r\n)*(content-length|transfer-encoding):/i.test(text),
  },
]

const ONLY_WE_TAKE: Record<'request' | 'response', Difference[]> = {
  request: [
    {
      reason: 'any token is a method (RFC 9110 9.1), Node has a list',
      shape: (_text, method) => !METHODS.includes(method),
    },
    ...OF_CHUNKS,
  ],
  response: [...OF_CHUNKS],
}

type Outcome = 'taken' | 'refused' | 'unfinished'

function outcomeOf({ messages, refused }: Reading): Outcome {
  if (messages[0]?.complete) return 'taken'
  return refused === undefined ? 'unfinished' : 'refused'
}

/** Fails unless the two agree on the first message, or differ for a reason that is listed. */
function compare(kind: 'request' | 'response', bytes: Buffer, ours: Reading, theirs: Reading): void {
  const text = bytes.toString('latin1')
  const [we, node] = [outcomeOf(ours), outcomeOf(theirs)]
  if (we === 'taken' && node === 'taken') {
    expect(ours.messages[0]).toEqual(theirs.messages[0])
    return
  }
  if (we !== 'taken' && node !== 'taken') return
  const why = `we: ${we} ${ours.because ?? ''}, Node: ${node}: ${JSON.stringify(text)}`
  // One has read a whole message where the other still waits: they disagree on where it ends.
  expect([we, node], why).not.toContain('unfinished')
  const method = /^[^ ]*/.exec(requestLine(text))![0]
  const listed = (we === 'taken' ? ONLY_WE_TAKE : ONLY_NODE_TAKES)[kind].find(
    ({ because, shape }) =>
      (because === undefined || because.test(ours.because ?? '')) && (shape?.(text, method) ?? true),
  )
  expect(listed, why).toBeDefined()
}

/** `BANYAN_TEST_FACTOR=100 npx vitest run test/protocol/differential` looks for longer. */
const RUNS = times(3_000)

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

  test('valid requests in a row are read the same', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(validRequest, { minLength: 2, maxLength: 4 }), async (several) => {
        const bytes = Buffer.concat(several)
        expect(readPieces('request', [bytes])).toEqual(await node.read(bytes))
      }),
      { numRuns: 200 },
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

  test('of broken requests, those that both take are read the same; every other difference has a reason', async () => {
    await fc.assert(
      fc.asyncProperty(mutated(validRequest), async (bytes) => {
        compare('request', bytes, readPieces('request', [bytes]), await node.read(bytes))
      }),
      { numRuns: RUNS },
    )
  })

  test('of broken responses, likewise', async () => {
    await fc.assert(
      fc.asyncProperty(mutated(validResponse), async (bytes) => {
        compare('response', bytes, readPieces('response', [bytes]), await readResponseWithNode(bytes))
      }),
      { numRuns: RUNS },
    )
  })
})
