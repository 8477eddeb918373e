/**
 * Arrays in PostgreSQL's binary format (`array_recv`): nothing to quote here, nothing to parse there.
 *
 * | bytes | what |
 * |---|---|
 * | 4 | dimensions: 1, or 0 if it is empty |
 * | 4 | 1 if there are NULLs |
 * | 4 | OID of the type of the elements |
 * | 4, 4 | how many there are; index of the first |
 * | 4, n | for each its length, or -1 for NULL, and its bytes |
 */
const HEADER = 20
const EMPTY = 12
const NULL = -1

const OIDS = { bytea: 17, int8: 20, int4: 23, text: 25, json: 114, uuid: 2950 } as const
const TWO_32 = 2 ** 32

export function int4Array(values: readonly number[]): Buffer {
  const buffer = begin(OIDS.int4, values.length, values.length * 8)
  for (let index = 0, at = HEADER; index < values.length; index++) {
    buffer.writeInt32BE(4, at)
    at = buffer.writeInt32BE(values[index]!, at + 4)
  }
  return buffer
}

export function int8Array(values: readonly number[]): Buffer {
  const buffer = begin(OIDS.int8, values.length, values.length * 12)
  for (let index = 0, at = HEADER; index < values.length; index++) {
    const value = values[index]!
    buffer.writeInt32BE(8, at)
    buffer.writeInt32BE(Math.floor(value / TWO_32), at + 4)
    at = buffer.writeUInt32BE(value >>> 0, at + 8)
  }
  return buffer
}

export function textArray(values: readonly (string | undefined)[]): Buffer {
  return stringArray(values, 'text')
}

export function jsonArray(values: readonly (string | undefined)[]): Buffer {
  return stringArray(values, 'json')
}

function stringArray(values: readonly (string | undefined)[], type: 'text' | 'json'): Buffer {
  let most = 0
  // A UTF-16 unit has at most three bytes of UTF-8; counting them is worth it for long texts only.
  for (const value of values)
    most += 4 + (value === undefined ? 0 : value.length < 1024 ? value.length * 3 : Buffer.byteLength(value))
  const buffer = begin(OIDS[type], values.length, most)
  if (values.length === 0) return buffer
  let at = HEADER
  for (const value of values) {
    if (value === undefined) {
      buffer[7] = 1
      at = buffer.writeInt32BE(NULL, at)
    } else {
      const length = buffer.write(value, at + 4)
      buffer.writeInt32BE(length, at)
      at += 4 + length
    }
  }
  return buffer.subarray(0, at)
}

export function bytesArray(values: readonly (Uint8Array | undefined)[]): Buffer {
  return binaryArray(values, 'bytea')
}

function binaryArray(values: readonly (Uint8Array | undefined)[], type: 'bytea' | 'uuid'): Buffer {
  const buffer = begin(
    OIDS[type],
    values.length,
    values.reduce((sum, value) => sum + 4 + (value?.byteLength ?? 0), 0),
  )
  let at = HEADER
  for (const value of values) {
    at = buffer.writeInt32BE(value?.byteLength ?? NULL, at)
    if (value) buffer.set(value, at)
    else buffer[7] = 1
    at += value?.byteLength ?? 0
  }
  return buffer
}

export function uuidArray(values: readonly string[]): Buffer {
  return binaryArray(
    values.map((value) => Buffer.from(value.replaceAll('-', ''), 'hex')),
    'uuid',
  )
}

function begin(type: number, count: number, bytes: number): Buffer {
  const buffer = Buffer.allocUnsafe(count === 0 ? EMPTY : HEADER + bytes)
  buffer.writeInt32BE(count === 0 ? 0 : 1, 0)
  buffer.writeInt32BE(0, 4)
  buffer.writeInt32BE(type, 8)
  if (count === 0) return buffer
  buffer.writeInt32BE(count, 12)
  buffer.writeInt32BE(1, 16)
  return buffer
}
