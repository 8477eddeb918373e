import { createHash } from 'node:crypto'
import { inspect } from 'node:util'
import { BanyanError } from '../../core/errors.js'

/** Category of what is known of kinds of sagas. */
export const SAGAS = '$saga'
const NAME = /^[A-Za-z][A-Za-z0-9_.]{0,99}$/
/** Of an id with its name: what it leads to has longer ones. */
export const MAX_ID_BYTES = 150

/** The category of all sagas of a name. */
export function categoryOf(name: string): string {
  return `${SAGAS}/${name}`
}

/** The stream of one saga, by its id: `fulfilment/17`. */
export function streamOf(id: string): string {
  const slash = id.indexOf('/')
  return `${categoryOf(id.slice(0, slash))}-${id.slice(slash + 1)}`
}

/** The id of a saga, by its stream. */
export function idOf(stream: string): string {
  return stream.slice(SAGAS.length + 1).replace('-', '/')
}

/** What has to be said of all sagas of a name. */
export function descriptionStream(name: string): string {
  return `${SAGAS}-${name}`
}

/** The subscription that shares the sagas of a name among processes. */
export function subscriptionOf(name: string): string {
  return `saga ${name}`
}

/** The subscription that starts the reactions of a policy. */
export function policySubscriptionOf(name: string): string {
  return `policy ${name}`
}

/** What keeps the log from being truncated for the sagas of a name. */
export function holdOf(name: string): string {
  return `sagas ${name}`
}

/** @throws `BANYAN_INVALID_OPTIONS` */
export function checkName(name: unknown, what = 'a saga'): asserts name is string {
  if (typeof name === 'string' && NAME.test(name)) return
  throw new BanyanError(
    'BANYAN_INVALID_OPTIONS',
    `the name of ${what} begins with a letter and has up to 100 letters, digits, dots and underscores, as it stands in names of streams; got ${inspect(name)}`,
  )
}

/**
 * The id of a saga: its name, and what tells it from others of that name.
 *
 * @param own - with or without the name in front
 * @throws `BANYAN_INVALID_OPTIONS`
 */
export function idFor(name: string, own: string): string {
  const id = typeof own === 'string' && own.startsWith(`${name}/`) ? own : `${name}/${own}`
  if (typeof own !== 'string' || id.length === name.length + 1 || Buffer.byteLength(id) > MAX_ID_BYTES)
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `the id of a saga is text, up to ${MAX_ID_BYTES} bytes with the name in front, got ${inspect(own)}`,
    )
  return id
}

/**
 * The id of a child: the name of its saga, the id of its parent, and what it is called there; or a hash of that, if it would be
 * too long. No two children have the same.
 */
export function childIdOf(saga: string, parent: string, name: string): string {
  const id = `${saga}/${parent}/${partOf(name)}`
  if (Buffer.byteLength(id) <= MAX_ID_BYTES) return id
  return `${saga}/${createHash('sha256').update(id).digest('base64url')}`
}

/** The idempotency key of a step in a direction; no two steps have the same. */
export function keyOf(id: string, step: string, direction: string): string {
  return `${id}/${partOf(step)}/${direction}`
}

/** A name without slashes, which part ids. */
function partOf(name: string): string {
  return name.replace(/[%/]/g, (character) => (character === '/' ? '%2F' : '%25'))
}

/**
 * The name in an id.
 *
 * @throws `BANYAN_INVALID_OPTIONS`
 */
export function nameIn(id: string): string {
  const slash = typeof id === 'string' ? id.indexOf('/') : -1
  const name = slash > 0 ? id.slice(0, slash) : ''
  if (!NAME.test(name) || slash === id.length - 1)
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `a saga is named by its whole id, such as fulfilment/17, got ${inspect(id)}`,
    )
  return name
}
