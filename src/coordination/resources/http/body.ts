import type { HandlerRequest } from '../../../core/http-handler.js'
import { badRequest } from '../error.js'
import { readProtobuf, type MessageField } from './protobuf.js'
import { Refusal } from './status.js'

/** As much as Kubernetes takes; what is kept is less, but a patch may be longer than what comes of it. */
const MOST_BYTES = 3 * 1024 * 1024
/** How deep YAML may go. Its parser needs so much memory for what is deeper that the process would end. */
const MOST_LEVELS = 1000
const JSON_TYPE = 'application/json'
const PROTOBUF_TYPE = 'application/vnd.kubernetes.protobuf'
const YAML_TYPES = ['application/yaml', 'application/apply-patch+yaml']

/** What a patch says it is. */
export type PatchType = 'json' | 'merge' | 'apply'

const PATCHES: Readonly<Record<string, PatchType>> = {
  'application/json-patch+json': 'json',
  'application/merge-patch+json': 'merge',
  'application/apply-patch+yaml': 'apply',
}

/**
 * Which kind of patch a request brings.
 *
 * @throws 415, also for strategic merge patches, which only the types have that are built into Kubernetes
 */
export function patchTypeOf(request: HandlerRequest): PatchType {
  const type = contentTypeOf(request)
  const patch = type !== undefined && Object.hasOwn(PATCHES, type) ? PATCHES[type] : undefined
  if (patch) return patch
  throw unknownFormat(Object.keys(PATCHES))
}

/**
 * The body of a request, out of JSON or YAML; undefined if there is none.
 *
 * @param types - media types that it may have; default those of objects
 * @throws 400, 413, 415
 */
export async function readObject(
  request: HandlerRequest,
  types: readonly string[] = [JSON_TYPE, 'application/yaml'],
): Promise<unknown> {
  const length = Number(request.field('content-length') ?? 0)
  if (length > MOST_BYTES) throw tooLarge()
  const bytes = await bytesOf(request)
  if (bytes.length === 0) return undefined
  const type = contentTypeOf(request) ?? JSON_TYPE
  if (!types.includes(type)) throw unknownFormat(types)
  return YAML_TYPES.includes(type) ? parsedYaml(bytes.toString()) : parsedJson(bytes.toString())
}

/** {@link readObject} of a kind that is built into Kubernetes: its tools may send that in Protocol Buffers. */
export async function readBuiltIn(
  request: HandlerRequest,
  fields: readonly MessageField[],
): Promise<unknown> {
  return contentTypeOf(request) === PROTOBUF_TYPE
    ? readProtobuf(await bytesOf(request), fields)
    : readObject(request)
}

/** {@link readObject} of a patch. */
export async function readPatch(request: HandlerRequest): Promise<unknown> {
  const patch = await readObject(request, Object.keys(PATCHES))
  if (patch === undefined) throw badRequest('the request has no patch')
  return patch
}

function contentTypeOf(request: HandlerRequest): string | undefined {
  return request.field('content-type')?.split(';', 1)[0]!.trim().toLowerCase()
}

async function bytesOf(request: HandlerRequest): Promise<Buffer> {
  try {
    return await request.body(MOST_BYTES)
  } catch (error) {
    if (request.signal.aborted) throw error
    throw tooLarge()
  }
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw badRequest(`the body is no JSON: ${(error as Error).message}`)
  }
}

/** JSON is YAML, and what tools send as such; it is read much faster. */
async function parsedYaml(text: string): Promise<unknown> {
  try {
    return JSON.parse(text)
  } catch {
    return readYaml(text)
  }
}

async function readYaml(text: string): Promise<unknown> {
  checkLevels(text)
  const { parseDocument } = await import('yaml')
  try {
    const document = parseDocument(text)
    const [error] = document.errors
    if (error) throw error
    // Aliases are not followed: a few of them can stand for gigabytes.
    return document.toJS({ maxAliasCount: 0 }) as unknown
  } catch (error) {
    throw badRequest(`the body is no YAML: ${(error as Error).message}`)
  }
}

/** Counts what opens a level on the same line: brackets, and marks of lists and keys that follow each other. */
function checkLevels(text: string): void {
  let brackets = 0
  let marks = 0
  for (const character of text) {
    if (character === '[' || character === '{') brackets++
    else if (character === ']' || character === '}') brackets--
    if ('-?:'.includes(character)) marks++
    else if (character !== ' ' && character !== '\t') marks = 0
    if (brackets > MOST_LEVELS || marks > MOST_LEVELS)
      throw badRequest(`the body is no YAML that can be read: it is more than ${MOST_LEVELS} levels deep`)
  }
}

function unknownFormat(types: readonly string[]): Refusal {
  return new Refusal(
    415,
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: ${types.join(', ')}`,
  )
}

function tooLarge(): Refusal {
  return new Refusal(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${MOST_BYTES} bytes`)
}
