import { problem } from './problem.js'

/** What can be asked of a subscription. */
const OPERATIONS = ['pull', 'ack', 'nack', 'release', 'extend', 'reject'] as const

export type Operation = (typeof OPERATIONS)[number]

/** What the path of a request is about: one of these, or none of them, which is the log as a whole. */
export interface Place {
  readonly stream?: string
  readonly topic?: string
  readonly subscription?: { readonly name: string; readonly operation: Operation }
}

/** @throws a problem of 400 or 404 */
export function placeOf(path: string): Place {
  const [first, kind, encoded, operation, ...more] = path.split('/')
  if (path === '') return {}
  if (first === '' && encoded !== undefined && encoded !== '' && more.length === 0) {
    if (kind === 'streams' && operation === undefined) return { stream: nameOf(encoded) }
    if (kind === 'topics' && operation === undefined) return { topic: nameOf(encoded) }
    if (kind === 'subscriptions' && isOperation(operation))
      return { subscription: { name: nameOf(encoded), operation } }
  }
  throw problem(
    404,
    'not-found',
    `There is nothing here. Events are at /, those of one stream at /streams/{stream}; what is published goes to /topics/{topic}; messages are at /subscriptions/{subscription}/${OPERATIONS.join(', /')}. Names are percent-encoded.`,
  )
}

function isOperation(text: string | undefined): text is Operation {
  return (OPERATIONS as readonly (string | undefined)[]).includes(text)
}

function nameOf(encoded: string): string {
  try {
    return decodeURIComponent(encoded)
  } catch {
    throw problem(400, 'invalid-path', 'The name in the path is not percent-encoded as it must be.')
  }
}
