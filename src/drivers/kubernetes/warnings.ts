import type { IncomingMessage } from 'node:http'

const WARNING = /\b299 \S+ "((?:[^"\\]|\\.)*)"/g

/** What an answer warns of, in its `Warning` fields (RFC 7234, 5.5; `299` as Kubernetes has them). */
export function warningsOf({ headersDistinct }: IncomingMessage): string[] {
  const fields = headersDistinct['warning'] ?? []
  return fields.flatMap((field) =>
    [...field.matchAll(WARNING)].map(([, text = '']) => text.replace(/\\(.)/g, '$1')),
  )
}
