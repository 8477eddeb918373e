import { invalidPatch, ResourceError } from '../error.js'
import { isList, isObject, isTooDeep, member, MOST_LEVELS, sameJson, withMember, type Json } from './json.js'
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
  let copied = 0
  return patch.map(operationOf).reduce((before, operation, index) => {
    if (operation.op === 'copy') {
      const value = read(before, operation.from, index)
      if (isTooDeep(value)) throw refused(index, `the patch copies what has more than ${MOST_LEVELS} levels`)
      copied += JSON.stringify(value).length
      if (copied > MAX_COPIED)
        throw refused(index, `the patch copies more than ${MAX_COPIED} characters of JSON`)
    }
    return perform(before, operation, index)
  }, document)
}

function perform(document: Json, operation: Operation, index: number): Json {
  const { path } = operation
  switch (operation.op) {
    case 'add':
      return add(document, path, operation.value, index)
    case 'remove':
      return change(document, path, index, () => undefined)
    case 'replace':
      return change(document, path, index, () => operation.value)
    case 'test':
      if (sameJson(read(document, path, index), operation.value)) return document
      throw refused(index, `${formatPointer(path)} is not what it is tested for`)
    case 'copy':
      return add(document, path, read(document, operation.from, index), index)
    case 'move': {
      const { from } = operation
      const value = read(document, from, index)
      if (formatPointer(from) === formatPointer(path)) return document
      if (formatPointer(path).startsWith(`${formatPointer(from)}/`))
        throw refused(index, `${formatPointer(from)} cannot be moved into itself`)
      const without = change(document, from, index, () => undefined)
      return add(without, path, value, index)
    }
  }
}

function read(document: Json, path: Tokens, index: number): Json {
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

/** Puts something else, or nothing, where something is. */
function change(document: Json, path: Tokens, index: number, to: () => Json | undefined): Json {
  read(document, path, index)
  if (path.length === 0) return to() ?? null
  return inside(document, path, index, (parent, token) => {
    const value = to()
    if (isObject(parent)) return withMember(parent, token, value)
    return parent.toSpliced(Number(token), 1, ...(value === undefined ? [] : [value]))
  })
}

/** Sets a member, or puts an item into a list before that index; `-` is behind the last. */
function add(document: Json, path: Tokens, value: Json, index: number): Json {
  if (path.length === 0) return value
  return inside(document, path, index, (parent, token) => {
    if (isObject(parent)) return withMember(parent, token, value)
    const at = token === '-' ? parent.length : position(token, parent.length)
    if (Number.isNaN(at)) throw missing(index, path)
    return parent.toSpliced(at, 0, value)
  })
}

/** Changes the list or object that a path ends in; what is beside the path is shared. */
function inside(
  document: Json,
  path: Tokens,
  index: number,
  edit: (parent: Json & object, token: string) => Json,
  depth = 0,
): Json {
  const token = path[depth]!
  if (typeof document !== 'object' || document === null) throw missing(index, path.slice(0, depth + 1))
  if (depth === path.length - 1) return edit(document, token)
  const child = inside(read(document, [token], index), path, index, edit, depth + 1)
  return isObject(document) ? withMember(document, token, child) : document.with(Number(token), child)
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
