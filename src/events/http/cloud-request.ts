import { BanyanError } from '../../core/errors.js'
import type { HandlerRequest } from '../../core/http-handler.js'
import { cloudEventsFromHttp, type CloudEvent } from '../cloudevents/index.js'
import { parseJson } from '../cloudevents/text.js'
import { problem } from './problem.js'

/** What the body of an append is: CloudEvents, or a commit as JSON. */
export type Appending = { readonly cloudEvents: readonly CloudEvent[] } | { readonly commit: unknown }

/**
 * Reads the body of an append: one CloudEvent in structured or binary mode, a batch of them, or a commit.
 *
 * @throws a problem of 400 or 415
 */
export async function readAppending(request: HandlerRequest, most: number): Promise<Appending> {
  const media = request.field('content-type')?.split(';')[0]!.trim().toLowerCase()
  const isCloudEvents = media?.startsWith('application/cloudevents') ?? false
  const isBinary = request.field('ce-specversion') !== undefined
  if (!isCloudEvents && !isBinary && media !== 'application/json')
    throw problem(
      415,
      'unsupported-media-type',
      'Send a CloudEvent (application/cloudevents+json, or its attributes as ce-* fields with the data as the body), a batch of them (application/cloudevents-batch+json), or a commit (application/json).',
    )
  const body = await request.body(most)
  if (!isCloudEvents && !isBinary)
    return { commit: understood(() => parseJson(utf8(body)), 'invalid-commit') }
  const cloudEvents = understood(() => cloudEventsFromHttp(headersOf(request), body), 'invalid-cloudevent')
  if (cloudEvents.length === 0) throw problem(400, 'invalid-cloudevent', 'The batch has no events.')
  return { cloudEvents }
}

/**
 * What `read` gives.
 *
 * @throws a problem of 400 if it throws an error of ours: what cannot be understood never gets to the log
 */
export function understood<T>(read: () => T, kind: string): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof BanyanError)) throw error
    // The reader of JSON is that of CloudEvents, and says so.
    throw problem(400, kind, error.message.replace(/^not a CloudEvent: /, 'The body cannot be understood: '))
  }
}

function headersOf({ fields }: HandlerRequest): Record<string, string[]> {
  const headers: Record<string, string[]> = Object.create(null) as Record<string, string[]>
  for (const [name, value] of fields) (headers[name.toLowerCase()] ??= []).push(value)
  return headers
}

function utf8(body: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body)
  } catch {
    throw problem(400, 'invalid-commit', 'The body is not UTF-8.')
  }
}
