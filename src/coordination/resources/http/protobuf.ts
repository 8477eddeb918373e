import { badRequest } from '../error.js'

/** A field of a message that is read. */
export interface MessageField {
  readonly number: number
  readonly name: string
  /** Which fields are read of it. Default: it is text. */
  readonly of?: readonly MessageField[]
}

/** What begins an object that Kubernetes has encoded. */
const MAGIC = Buffer.from('k8s\0')
/** `runtime.Unknown`: which kind of object it is, and the object. */
const RAW = 2
const VARINT = 0
const FIXED_64 = 1
const DELIMITED = 2
const FIXED_32 = 5

/**
 * An object of a kind that is built into Kubernetes, as its tools send it: they have the types, and take no answer to the question
 * whether another form would do.
 *
 * @see https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding
 * @throws `BANYAN_RESOURCE_BAD_REQUEST`
 */
export function readProtobuf(bytes: Buffer, read: readonly MessageField[]): object {
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) throw broken()
  const raw = fieldsOf(bytes.subarray(MAGIC.length)).get(RAW)
  if (!raw) throw broken()
  return readMessage(raw, read)
}

function readMessage(bytes: Buffer, read: readonly MessageField[]): object {
  const object: Record<string, unknown> = {}
  const fields = fieldsOf(bytes)
  for (const { number, name, of } of read) {
    const value = fields.get(number)
    // Kubernetes writes every text: one that is empty was not said.
    if (value && (of || value.length > 0)) object[name] = of ? readMessage(value, of) : value.toString()
  }
  return object
}

/** The fields that have a length, the last of each number. */
function fieldsOf(bytes: Buffer): ReadonlyMap<number, Buffer> {
  const fields = new Map<number, Buffer>()
  let at = 0
  const number = (): number => {
    let value = 0
    for (let factor = 1; factor < 2 ** 49; factor *= 128) {
      const byte = bytes[at++]
      if (byte === undefined) break
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
    }
    throw broken()
  }
  while (at < bytes.length) {
    const key = number()
    const type = key % 8
    if (type === VARINT) number()
    else if (type === FIXED_64) at += 8
    else if (type === FIXED_32) at += 4
    else if (type === DELIMITED) {
      const length = number()
      fields.set(Math.floor(key / 8), bytes.subarray(at, (at += length)))
    } else throw broken()
    if (at > bytes.length) throw broken()
  }
  return fields
}

function broken(): Error {
  return badRequest('the body is no object in the Protocol Buffers of Kubernetes')
}
