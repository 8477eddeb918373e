import { bytes } from '../../../core/bytes.js'
import { Body } from '../../http/body.js'
import type { UpstreamAnswer } from '../answer.js'
import { defineFilter, type Filter, type RouteContext } from '../filter.js'
import type { Forwarding } from '../forwarding.js'
import { readDirectives } from '../semantics/cache-control.js'
import { sameWeakly } from '../semantics/conditions.js'
import { chooseEncoding, varyWith } from '../semantics/negotiation.js'
import type { Call } from '../../policy.js'
import { ENCODINGS, openCompressor, type Encoding } from './compress/codec.js'
import { CompressedBody } from './compress/compressed-body.js'
import type { CompressSpec } from './compress/spec.js'

const TYPES = [
  'text/*',
  '*+json',
  '*+xml',
  'application/json',
  'application/javascript',
  'application/wasm',
  'application/xml',
  'application/x-ndjson',
  'font/ttf',
  'font/otf',
]

/**
 * Compresses what goes to clients (RFC 9110 8.4), as it streams. Answers that somebody has encoded already, or said to
 * leave alone, pass untouched; a strong entity tag becomes a weak one, as the bytes are no longer those it stood for.
 */
export function compress(spec: CompressSpec | true, { route, runtime }: RouteContext): Filter {
  const {
    encodings = ENCODINGS,
    types = TYPES,
    minimumSize = '1kB',
    level = 'balanced',
    concurrency = 256,
  } = spec === true ? {} : spec
  const least = bytes(minimumSize, 'minimumSize')
  const offered = encodings.filter((each) => ENCODINGS.includes(each))
  const isCompressible = matcher(types)
  const { telemetry } = runtime
  const attributes = { 'banyan.route': route }
  let active = 0
  const count = (name: string, description: string) =>
    telemetry.counter(`banyan.compression.${name}`, { description, unit: 'By', attributes })
  const input = count('input', 'Bytes of answers before compression.')
  const output = count('output', 'Bytes of answers after compression.')
  const passed = telemetry.counter('banyan.compression.passed', {
    description: 'Answers that passed as they are because too many were being compressed.',
    unit: '{answer}',
    attributes,
  })
  telemetry.gauge(
    'banyan.compression.active',
    { description: 'Answers being compressed.', unit: '{answer}', attributes },
    () => active,
  )

  const encode = (answer: UpstreamAnswer, encoding: Encoding, call: Call): UpstreamAnswer => {
    active++
    const { contentLength } = answer.head
    const onOver = (read: number, written: number): void => {
      active--
      forget()
      input.add(read)
      output.add(written)
    }
    let forget = (): void => undefined
    const compressed = new CompressedBody(
      answer.open(),
      openCompressor(encoding, level, contentLength),
      onOver,
    )
    forget = call.onCancel(() => compressed.cancel(call.reason as Error))
    return answer.withBody(compressed.body)
  }

  return defineFilter(`${route} compression`, async (forwarding, next, call) => {
    const answer = await next()
    const { fields, status } = answer
    if (status === 304) weakenUnchanged(forwarding, answer)
    if (!isUntouched(answer) || !isCompressible(fields.get('content-type'))) return answer
    const length = answer.head.contentLength
    if (length !== undefined && length < least) return answer
    const vary = varyWith(fields.get('vary'), 'Accept-Encoding')
    fields.delete('vary')
    fields.append('Vary', vary)
    const encoding = chooseEncoding(forwarding.request.fields.get('accept-encoding'), offered)
    if (encoding === undefined) return answer
    if (active >= concurrency) {
      passed.add(1)
      return answer
    }
    weaken(answer)
    fields.append('Content-Encoding', encoding)
    fields.delete('accept-ranges')
    return forwarding.request.method === 'HEAD' ? headOnly(answer) : encode(answer, encoding, call)
  })
}

/** What a HEAD is told: the fields of the compressed answer, whose length nobody knows without making it. */
function headOnly(answer: UpstreamAnswer): UpstreamAnswer {
  answer.open().discard()
  const nothing = new Body(undefined, undefined)
  nothing.finish(undefined)
  return answer.withBody(nothing)
}

/** Whether an answer has a body of its own that nobody has encoded or signed. */
function isUntouched({ status, fields, socket }: UpstreamAnswer): boolean {
  if (socket || status === 204 || status === 205 || status === 206 || status === 304) return false
  for (const name of ['content-encoding', 'content-range', 'content-digest', 'repr-digest', 'digest'])
    if (fields.get(name) !== undefined) return false
  return !readDirectives(fields.get('cache-control')).has('no-transform')
}

function weaken({ fields }: UpstreamAnswer): void {
  const etag = fields.get('etag')
  if (etag === undefined || etag.startsWith('W/')) return
  fields.delete('etag')
  fields.append('ETag', `W/${etag}`)
}

/** A client that has our weak tag must find it again in a 304, or it could not tell which of its answers is meant. */
function weakenUnchanged(forwarding: Forwarding, answer: UpstreamAnswer): void {
  const etag = answer.fields.get('etag')
  const asked = forwarding.request.fields.get('if-none-match')?.match(/W\/"[^"]*"/g) ?? []
  if (etag !== undefined && asked.some((tag) => sameWeakly(tag, etag))) weaken(answer)
}

/** Tells whether a Content-Type is one of those types. A wildcard never means event streams, which last: name them. */
function matcher(types: readonly string[]): (contentType: string | undefined) => boolean {
  const exact = new Set<string>()
  const prefixes: string[] = []
  const suffixes: string[] = []
  for (const type of types.map((each) => each.toLowerCase())) {
    if (type.endsWith('/*')) prefixes.push(type.slice(0, -1))
    else if (type.startsWith('*')) suffixes.push(type.slice(1))
    else exact.add(type)
  }
  return (contentType) => {
    const type = contentType?.split(';', 1)[0]!.trim().toLowerCase()
    if (type === undefined) return false
    if (exact.has(type)) return true
    if (type === 'text/event-stream') return false
    return prefixes.some((each) => type.startsWith(each)) || suffixes.some((each) => type.endsWith(each))
  }
}
