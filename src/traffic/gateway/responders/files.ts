import { realpathSync, statSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { extname, resolve } from 'node:path'
import { lookup } from 'mrmime'
import { duration } from '../../../core/duration.js'
import { BanyanError } from '../../../core/errors.js'
import { Body } from '../../http/body.js'
import { Fields } from '../../http/fields.js'
import type { Call } from '../../policy.js'
import { UpstreamAnswer } from '../answer.js'
import type { RouteContext } from '../filter.js'
import type { Forwarding } from '../forwarding.js'
import { refusal, type Refusal } from '../refusal.js'
import type { Responder } from '../responder.js'
import { precondition, rangeApplies, type Validators } from '../semantics/conditions.js'
import { httpDate } from '../semantics/date.js'
import { chooseEncoding } from '../semantics/negotiation.js'
import { readRange } from '../semantics/ranges.js'
import { FileBody } from './files/file-body.js'
import { findFile, namesOf, type Found } from './files/find-file.js'
import type { FilesSpec } from './files/spec.js'

type File = Extract<Found, { kind: 'file' }>

/** Compressed forms, best first, and what their names end with. */
const FORMS = [
  ['br', '.br'],
  ['zstd', '.zst'],
  ['gzip', '.gz'],
] as const

const YEAR_S = 31_536_000

/**
 * Answers with the file at the path that a service would see (RFC 9110): with types, validators, conditions and ranges,
 * block by block. Nothing outside the root is given, nothing hidden, and no list of a directory.
 *
 * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` if the root or the fallback is not there
 */
export async function files(spec: FilesSpec, { route, runtime }: RouteContext): Promise<Responder> {
  const { index = 'index.html', precompressed = false } = spec
  const root = rootOf(spec.root, route)
  const fallback = spec.fallback === undefined ? undefined : await fallbackOf(root, spec.fallback, route)
  const maxAge = Math.floor(duration(spec.maxAge ?? 0, 'maxAge') / 1000)
  const isImmutable = matcher([spec.immutable ?? []].flat())
  const { clock } = runtime

  const cacheControl = (path: string): string => {
    if (isImmutable(path)) return `public, max-age=${YEAR_S}, immutable`
    return maxAge === 0 ? 'no-cache' : `public, max-age=${maxAge}`
  }

  /** The file itself, or a compressed form that is not older. */
  const chooseForm = async (file: File, names: readonly string[], accept: string | undefined) => {
    let offered = precompressed ? FORMS.map(([encoding]) => encoding) : []
    for (;;) {
      const encoding = chooseEncoding(accept, offered)
      if (encoding === undefined) return { file, encoding }
      offered = offered.filter((each) => each !== encoding)
      const suffix = FORMS.find(([each]) => each === encoding)![1]
      const form = await findFile(root, [...names.slice(0, -1), names.at(-1)! + suffix]).catch(
        closing(file.handle),
      )
      if (form.kind !== 'file') continue
      if (form.stats.mtimeNs >= file.stats.mtimeNs) {
        await file.handle.close()
        return { file: form, encoding }
      }
      await form.handle.close()
    }
  }

  /** Answers with a file that was found. */
  const give = async (call: Call, found: File, names: readonly string[], fields: Fields) => {
    const { request } = call.subject as Forwarding
    const { file, encoding } = await chooseForm(found, names, request.fields.get('accept-encoding'))
    const { handle, stats } = file
    const now = clock.wall()
    const size = Number(stats.size)
    const validators: Validators = {
      etag: `"${stats.size.toString(36)}-${stats.mtimeNs.toString(36)}${encoding ? `-${encoding}` : ''}"`,
      lastModified: Math.min(Math.floor(Number(stats.mtimeNs / 1_000_000n) / 1000) * 1000, now),
    }
    fields.append('Date', httpDate(now))
    fields.append('ETag', validators.etag!)
    fields.append('Last-Modified', httpDate(validators.lastModified!))
    if (precompressed) fields.append('Vary', 'Accept-Encoding')
    const failed = precondition(request.fields, validators)
    if (failed !== undefined) {
      await handle.close()
      if (failed === 412)
        throw refusal({
          status: 412,
          kind: 'precondition-failed',
          detail: 'The file is not the one that was meant.',
        })
      return UpstreamAnswer.of(304, fields, Buffer.alloc(0))
    }
    fields.append('Content-Type', contentType(names.at(-1)!))
    fields.append('X-Content-Type-Options', 'nosniff')
    if (encoding) fields.append('Content-Encoding', encoding)
    fields.append('Accept-Ranges', 'bytes')
    const isRanged = request.method === 'GET' && rangeApplies(request.fields.get('if-range'), validators, now)
    const range = readRange(isRanged ? request.fields.get('range') : undefined, size)
    if (range.kind === 'outside') {
      await handle.close()
      throw refusal({
        status: 416,
        kind: 'range-not-satisfiable',
        detail: 'The range begins after the end of the file.',
        fields: [['Content-Range', `bytes */${size}`]],
      })
    }
    if (range.kind === 'whole') return stream(call, 200, fields, handle, 0, size)
    fields.append('Content-Range', `bytes ${range.first}-${range.last}/${size}`)
    return stream(call, 206, fields, handle, range.first, range.last - range.first + 1)
  }

  return async (call) => {
    const forwarding = call.subject as Forwarding
    const { request, location } = forwarding
    if (request.method !== 'GET' && request.method !== 'HEAD') throw notAllowed()
    const path = forwarding.target.split('?', 1)[0]!
    const names = namesOf(path)
    if (!names) throw notFound()
    const wantsIndex = path.endsWith('/')
    if (wantsIndex && index !== false) names.push(index)
    const found = await findFile(root, names)
    if (found.kind === 'file')
      return give(call, found, names, Fields.of([['Cache-Control', cacheControl(path)]]))
    if (found.kind === 'forbidden')
      throw refusal({ status: 403, kind: 'file-forbidden', detail: 'The file may not be read.' })
    if (found.kind === 'directory' && !wantsIndex && index !== false) {
      const hasIndex = await findFile(root, [...names, index])
      if (hasIndex.kind === 'file') {
        await hasIndex.handle.close()
        return movedTo(`${localPath(location.path)}/${location.query}`, clock.wall())
      }
    }
    if (fallback && acceptsPages(request.fields.get('accept'))) {
      const page = await findFile(root, fallback)
      const fields = Fields.of([
        ['Cache-Control', 'no-cache'],
        ['Vary', 'Accept'],
      ])
      if (page.kind === 'file') return give(call, page, fallback, fields)
    }
    throw notFound()
  }
}

/** Closes a file because of an error, which goes on its way. */
function closing(handle: FileHandle): (error: unknown) => Promise<never> {
  return async (error) => {
    await handle.close()
    throw error
  }
}

function stream(
  call: Call,
  status: number,
  fields: Fields,
  handle: FileHandle,
  first: number,
  length: number,
): UpstreamAnswer {
  const { request } = call.subject as Forwarding
  const answer = UpstreamAnswer.of(status, fields, Buffer.alloc(0))
  if (request.method === 'HEAD') {
    void handle.close()
    const nothing = new Body(length, undefined)
    nothing.finish(undefined)
    return answer.withBody(nothing)
  }
  const file = new FileBody(handle, first, length)
  const { body } = file
  const forget = call.onCancel(() => file.cancel(call.reason as Error))
  body.onSettled(forget)
  if (!body.ended) {
    call.waitUntil(
      new Promise<void>((resolve, reject) =>
        body.onSettled(() => (body.error ? reject(body.error) : resolve())),
      ),
    )
  }
  return answer.withBody(body)
}

/** The type that a name tells; text is taken to be UTF-8. */
function contentType(name: string): string {
  const type = lookup(extname(name)) ?? 'application/octet-stream'
  return type.startsWith('text/') ? `${type}; charset=utf-8` : type
}

/** Whether somebody looks for a page, not for a script or an image that is missing. */
function acceptsPages(accept: string | undefined): boolean {
  return accept !== undefined && /(?:^|[,\s])(?:text\/html|application\/xhtml\+xml)(?:$|[,;\s])/i.test(accept)
}

/** A path that no browser takes for another host. */
function localPath(path: string): string {
  return path.replace(/^\/+/, '/').replace(/\\/g, '%5C')
}

function movedTo(location: string, now: number): UpstreamAnswer {
  const fields = Fields.of([
    ['Location', location],
    ['Date', httpDate(now)],
  ])
  return UpstreamAnswer.of(301, fields, Buffer.alloc(0))
}

function matcher(patterns: readonly string[]): (path: string) => boolean {
  const prefixes = patterns.filter((each) => each.endsWith('/*')).map((each) => each.slice(0, -1))
  return (path) => patterns.includes(path) || prefixes.some((prefix) => path.startsWith(prefix))
}

function rootOf(root: string, route: string): string {
  try {
    const real = realpathSync(resolve(root))
    if (statSync(real).isDirectory()) return real
  } catch {
    // Told below, whatever it was.
  }
  throw new BanyanError(
    'BANYAN_INVALID_OPTIONS',
    `routes.${route}.files.root: there is no directory \`${root}\` that can be read`,
  )
}

async function fallbackOf(root: string, path: string, route: string): Promise<readonly string[]> {
  const names = namesOf(path.startsWith('/') ? path : `/${path}`)
  const found = names && (await findFile(root, names))
  if (names && found?.kind === 'file') {
    await found.handle.close()
    return names
  }
  throw new BanyanError(
    'BANYAN_INVALID_OPTIONS',
    `routes.${route}.files.fallback: there is no file \`${path}\``,
  )
}

function notFound(): Refusal {
  return refusal({ status: 404, kind: 'file-not-found', detail: 'There is no such file.' })
}

function notAllowed(): Refusal {
  return refusal({
    status: 405,
    kind: 'method-not-allowed',
    detail: 'Files can only be read.',
    fields: [['Allow', 'GET, HEAD']],
  })
}
