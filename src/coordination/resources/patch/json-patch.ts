import { invalidPatch, ResourceError } from '../error.js'
import { isList, isObject, isTooDeep, member, MOST_LEVELS, sameJson, type Json } from './json.js'
import { formatPointer, parsePointer } from './json-pointer.js'

/** As many operations as a Kubernetes API server takes in one patch. */
const MAX_OPERATIONS = 10_000

/** Characters of JSON that `copy` may add in one patch: a few of them can double a document over and over. */
const MAX_COPIED = 3 * 1024 * 1024

type Tokens = readonly string[]

type Operation =
  | { readonly op: 'add' | 'replace' | 'test'; readonly path: Tokens; readonly value: Json }
  | { readonly op: 'move' | 'copy'; readonly path: Tokens; readonly from: Tokens }
  | { readonly op: 'remove'; readonly path: Tokens }

/**
 * Applies a JSON patch (RFC 6902), all of it or nothing.
 *
 * @param document - what is changed; it stays as it is
 * @param patch - the list of operations, at most 10,000; whatever it is, it is checked
 * @throws `BANYAN_PATCH_INVALID` if the patch is none
 * @throws `BANYAN_PATCH_REFUSED` if it does not fit the document: a test failed, or a place is not there; or if it
 *   copies more than 3 MiB, or what is too deep
 */
export function applyJsonPatch(document: Json, patch: Json): Json {
  if (!isList(patch)) throw invalidPatch('a JSON patch is a list of operations')
  if (patch.length > MAX_OPERATIONS)
    throw invalidPatch(`a JSON patch has at most ${MAX_OPERATIONS} operations, this one ${patch.length}`)
  const operations = patch.map(operationOf)
  const whole: Whole = { document: cloned(document) }
  let copied = 0
  operations.forEach((operation, index) => {
    if (operation.op === 'copy') {
      const value = read(whole, operation.from, index)
      if (isTooDeep(value)) throw refused(index, `the patch copies what has more than ${MOST_LEVELS} levels`)
      copied += JSON.stringify(value).length
      if (copied > MAX_COPIED)
        throw refused(index, `the patch copies more than ${MAX_COPIED} characters of JSON`)
    }
    perform(whole, operation, index)
  })
  return whole.document
}

/** A document that is changed in place: a copy for each of thousands of operations could take minutes. */
interface Whole {
  document: Json
}

function perform(whole: Whole, operation: Operation, index: number): void {
  const { path } = operation
  switch (operation.op) {
    case 'add':
      add(whole, path, cloned(operation.value), index)
      return
    case 'remove':
      remove(whole, path, index)
      return
    case 'replace':
      replace(whole, path, cloned(operation.value), index)
      return
    case 'test':
      if (!sameJson(read(whole, path, index), operation.value))
        throw refused(index, `${formatPointer(path)} is not what it is tested for`)
      return
    case 'copy':
      add(whole, path, cloned(read(whole, operation.from, index)), index)
      return
    case 'move': {
      const { from } = operation
      const value = read(whole, from, index)
      if (formatPointer(from) === formatPointer(path)) return
      if (formatPointer(path).startsWith(`${formatPointer(from)}/`))
        throw refused(index, `${formatPointer(from)} cannot be moved into itself`)
      remove(whole, from, index)
      add(whole, path, value, index)
    }
  }
}

function read({ document }: Whole, path: Tokens, index: number): Json {
  return path.reduce<Json>((value, token, depth) => {
    const next = isList(value)
      ? value[position(token, value.length - 1)]
      : isObject(value)
        ? member(value, token)
        : undefined
    if (next === undefined) throw missing(index, path.slice(0, depth + 1))
    return next
  }, document)
}

/** Sets a member, or puts an item into a list before that index; `-` is behind the last. */
function add(whole: Whole, path: Tokens, value: Json, index: number): void {
  if (path.length === 0) {
    whole.document = value
    return
  }
  const [parent, token] = parentOf(whole, path, index)
  if (!Array.isArray(parent)) {
    setMember(parent, token, value)
    return
  }
  const at = token === '-' ? parent.length : position(token, parent.length)
  if (Number.isNaN(at)) throw missing(index, path)
  parent.splice(at, 0, value)
}

function replace(whole: Whole, path: Tokens, value: Json, index: number): void {
  read(whole, path, index)
  if (path.length === 0) {
    whole.document = value
    return
  }
  const [parent, token] = parentOf(whole, path, index)
  if (Array.isArray(parent)) parent[Number(token)] = value
  else setMember(parent, token, value)
}

function remove(whole: Whole, path: Tokens, index: number): void {
  read(whole, path, index)
  if (path.length === 0) {
    whole.document = null
    return
  }
  const [parent, token] = parentOf(whole, path, index)
  if (Array.isArray(parent)) parent.splice(Number(token), 1)
  else Reflect.deleteProperty(parent, token)
}

/** The list or object that a path ends in, and the last part of the path. */
function parentOf(
  whole: Whole,
  path: Tokens,
  index: number,
): [parent: Json[] | Record<string, Json>, token: string] {
  const parent = read(whole, path.slice(0, -1), index)
  if (typeof parent !== 'object' || parent === null) throw missing(index, path)
  return [parent as Json[] | Record<string, Json>, path.at(-1)!]
}

/** Also one that is called `__proto__`. */
function setMember(object: Record<string, Json>, name: string, value: Json): void {
  Object.defineProperty(object, name, { value, configurable: true, enumerable: true, writable: true })
}

function cloned(value: Json): Json {
  return typeof value === 'object' ? (JSON.parse(JSON.stringify(value)) as Json) : value
}

/** The index a token names, from 0 to `last`; NaN for what names none, so also for `01` and `-`. */
function position(token: string, last: number): number {
  const at = /^(0|[1-9]\d*)$/.test(token) ? Number(token) : NaN
  return at <= last ? at : NaN
}

function operationOf(operation: Json, index: number): Operation {
  const pointer = (name: string): Tokens => {
    const text = isObject(operation) ? member(operation, name) : undefined
    if (typeof text !== 'string') throw invalidPatch(`operation ${index} has no "${name}"`)
    return parsePointer(text)
  }
  if (!isObject(operation)) throw invalidPatch(`operation ${index} is no object`)
  const op = member(operation, 'op')
  switch (op) {
    case 'add':
    case 'replace':
    case 'test': {
      const value = member(operation, 'value')
      if (value === undefined) throw invalidPatch(`operation ${index} has no "value"`)
      return { op, path: pointer('path'), value }
    }
    case 'move':
    case 'copy':
      return { op, path: pointer('path'), from: pointer('from') }
    case 'remove':
      return { op, path: pointer('path') }
    default:
      throw invalidPatch(`operation ${index} is none of add, remove, replace, move, copy, test`)
  }
}

function refused(index: number, problem: string): Error {
  return new ResourceError('BANYAN_PATCH_REFUSED', `operation ${index}: ${problem}`)
}

function missing(index: number, path: Tokens): Error {
  return refused(index, `there is no ${formatPointer(path)}`)
}
