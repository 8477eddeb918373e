/** Fields of a message of Protocol Buffers, in order: its number, and a text, a message or a flag. */
export type Field = readonly [number: number, value: string | boolean | Buffer | undefined]

const LENGTH_DELIMITED = 2
const VARINT = 0

/** Writes a message (protobuf.dev, Encoding). Fields that are undefined are left out. */
export function message(...fields: readonly Field[]): Buffer {
  return Buffer.concat(
    fields.flatMap(([number, value]) => {
      if (value === undefined) return []
      if (typeof value === 'boolean') return [varint(tag(number, VARINT)), varint(Number(value))]
      const bytes = typeof value === 'string' ? Buffer.from(value) : value
      return [varint(tag(number, LENGTH_DELIMITED)), varint(bytes.length), bytes]
    }),
  )
}

function tag(number: number, wireType: number): number {
  return number * 8 + wireType
}

/** Seven bits a byte, the lowest first; all but the last have the eighth. */
function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  for (; rest > 0x7f; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80)
  bytes.push(rest)
  return Buffer.from(bytes)
}
