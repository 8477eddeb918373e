/**
 * Protocol buffers, as much of them as the messages of etcd need: a message is a table of its fields, and the types of
 * what is written and read follow from the table (https://protobuf.dev/programming-guides/encoding).
 */

/** What may be given for bytes; text is written as UTF-8. */
export type Bytes = Uint8Array | string

type Scalar = 'bytes' | 'text' | 'int' | 'id' | 'flag'

/** One field: what is read is a `Value`, what may be written a `Given`. */
export interface Field<Value, Given = Value> {
  readonly number: number
  readonly kind: Scalar | Message<unknown, unknown>
  readonly many: boolean
  /** For the types alone. */
  readonly types?: (given: Given) => Value
}

type Fields = Readonly<Record<string, Field<unknown, never>>>
type Shape<Of extends Fields> = {
  [Name in keyof Of]: Of[Name] extends Field<infer Value, never> ? Value : never
}
type Partly<Of extends Fields> = {
  readonly [Name in keyof Of]?: Of[Name] extends Field<unknown, infer Given> ? Given | undefined : never
}

/** What is read of a message: every field, those that were not sent with 0, '', or undefined for a message. */
export type Read<Of> = Of extends Message<infer Value, never> ? Value : never
/** What is written of a message: the fields that matter. */
export type Written<Of> = Of extends Message<unknown, infer Given> ? Given : never

export const bytes = (number: number): Field<Buffer, Bytes> => ({ number, kind: 'bytes', many: false })
export const text = (number: number): Field<string> => ({ number, kind: 'text', many: false })
/** A whole number that JavaScript can count with; reading one beyond that fails. Also for enumerations. */
export const int = (number: number): Field<number> => ({ number, kind: 'int', many: false })
/** 64 bits that are no quantity, without a sign. */
export const id = (number: number): Field<bigint> => ({ number, kind: 'id', many: false })
export const flag = (number: number): Field<boolean> => ({ number, kind: 'flag', many: false })
export const one = <Value, Given>(
  number: number,
  kind: Message<Value, Given>,
): Field<Value | undefined, Given> => ({ number, kind, many: false })
export const many = <Value, Given>({
  number,
  kind,
}: Field<Value, Given>): Field<NonNullable<Value>[], readonly Given[]> => ({ number, kind, many: true })

/** Makes a message of its fields, by their names. */
export function message<Of extends Fields>(fields: Of): Message<Shape<Of>, Partly<Of>> {
  return new Message(fields)
}

interface Entry {
  readonly name: string
  readonly number: number
  readonly kind: Scalar | Message<unknown, unknown>
  readonly many: boolean
}

const VARINT = 0
const FIXED_64 = 1
const DELIMITED = 2
const FIXED_32 = 5

/** A kind of message. */
export class Message<Value, Given> {
  readonly #fields: readonly Entry[]
  readonly #byNumber: readonly (Entry | undefined)[]

  constructor(fields: Fields) {
    this.#fields = Object.entries(fields).map(([name, { number, kind, many }]) => ({
      name,
      number,
      kind,
      many,
    }))
    const byNumber: (Entry | undefined)[] = []
    for (const field of this.#fields) byNumber[field.number] = field
    this.#byNumber = byNumber
  }

  encode(value: Given): Buffer {
    WRITER.begin()
    this.write(value, WRITER)
    return WRITER.take()
  }

  /** @throws RangeError if the bytes are no such message */
  decode(buffer: Buffer): Value {
    return this.read(new Reader(buffer, buffer.length))
  }

  /** @internal */
  write(value: Given, writer: Writer): void {
    for (const { name, number, kind, many } of this.#fields) {
      const given = (value as Record<string, unknown>)[name]
      if (given === undefined) continue
      if (!many) writer.field(number, kind, given)
      else for (const entry of given as unknown[]) writer.entry(number, kind, entry)
    }
  }

  /** @internal */
  read(reader: Reader): Value {
    const value: Record<string, unknown> = {}
    for (const { name, kind, many } of this.#fields) value[name] = many ? [] : initial(kind)
    while (!reader.atEnd) {
      const tag = reader.int()
      const field = this.#byNumber[tag >>> 3]
      if (!field) reader.skip(tag & 7)
      else {
        const read = reader.value(field.kind, tag & 7)
        if (field.many) (value[field.name] as unknown[]).push(read)
        else value[field.name] = read
      }
    }
    return value as Value
  }
}

const NOTHING = Buffer.alloc(0)

function initial(kind: Scalar | Message<unknown, unknown>): unknown {
  switch (kind) {
    case 'bytes':
      return NOTHING
    case 'text':
      return ''
    case 'int':
      return 0
    case 'id':
      return 0n
    case 'flag':
      return false
    default:
      return undefined
  }
}

/** Writes into one piece of memory that grows. */
class Writer {
  #memory = Buffer.allocUnsafeSlow(4096)
  #end = 0

  begin(): void {
    this.#end = 0
  }

  take(): Buffer {
    return Buffer.from(this.#memory.subarray(0, this.#end))
  }

  /** A field that stands alone: what is 0 or empty is not written, as that is what is read of nothing. */
  field(number: number, kind: Scalar | Message<unknown, unknown>, value: unknown): void {
    if (value === 0 || value === 0n || value === '' || value === false) return
    this.entry(number, kind, value)
  }

  entry(number: number, kind: Scalar | Message<unknown, unknown>, value: unknown): void {
    const delimited = typeof kind === 'object' || kind === 'bytes' || kind === 'text'
    this.#varint((number << 3) | (delimited ? DELIMITED : VARINT))
    if (typeof kind === 'object') this.#message(kind, value)
    else if (typeof value === 'string') this.#text(value)
    else if (kind === 'bytes') this.#bytes(value as Uint8Array)
    else if (typeof value === 'bigint') this.#big(value)
    else if (typeof value === 'boolean') this.#varint(Number(value))
    else this.#number(value as number)
  }

  #number(value: number): void {
    if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is no whole number that can be sent`)
    if (value < 0) this.#big(BigInt(value))
    else this.#varint(value)
  }

  #big(value: bigint): void {
    const unsigned = BigInt.asUintN(64, value)
    const rest = Number(unsigned >> 28n)
    const low = Number(unsigned & 0xfff_ffffn)
    if (rest === 0) {
      this.#varint(low)
      return
    }
    this.#reserve(10)
    for (let shift = 0; shift < 28; shift += 7) this.#memory[this.#end++] = ((low >>> shift) & 127) | 128
    this.#varint(rest)
  }

  #varint(value: number): void {
    this.#reserve(10)
    while (value > 127) {
      this.#memory[this.#end++] = (value % 128) | 128
      value = Math.floor(value / 128)
    }
    this.#memory[this.#end++] = value
  }

  #text(value: string): void {
    const length = Buffer.byteLength(value)
    this.#varint(length)
    this.#reserve(length)
    this.#end += this.#memory.write(value, this.#end)
  }

  #bytes(value: Uint8Array): void {
    this.#varint(value.length)
    this.#reserve(value.length)
    this.#memory.set(value, this.#end)
    this.#end += value.length
  }

  /** Its length is known when it stands there; most fit into the byte that was kept for that. */
  #message(kind: Message<unknown, unknown>, value: unknown): void {
    const start = this.#end
    this.#reserve(1)
    this.#end++
    kind.write(value, this)
    const length = this.#end - start - 1
    if (length > 127) {
      const more = Math.floor(Math.log2(length) / 7)
      this.#reserve(more)
      this.#memory.copyWithin(start + 1 + more, start + 1, this.#end)
    }
    this.#end = start
    this.#varint(length)
    this.#end += length
  }

  #reserve(count: number): void {
    const needed = this.#end + count
    if (needed <= this.#memory.length) return
    const memory = Buffer.allocUnsafeSlow(Math.max(needed, this.#memory.length * 2))
    memory.set(this.#memory.subarray(0, this.#end))
    this.#memory = memory
  }
}

/** Encoding does not wait for anything, so one is enough. */
const WRITER = new Writer()

const HIGH = 2 ** 32

class Reader {
  readonly #buffer: Buffer
  #offset = 0
  #end: number
  // Both halves of the last number, without a sign.
  #low = 0
  #high = 0

  constructor(buffer: Buffer, end: number) {
    this.#buffer = buffer
    this.#end = end
  }

  get atEnd(): boolean {
    return this.#offset >= this.#end
  }

  int(): number {
    this.#varint()
    // The sign of the higher half is that of the number.
    const value = (this.#high | 0) * HIGH + this.#low
    if (!Number.isSafeInteger(value)) throw new RangeError('a number is too large for JavaScript')
    return value
  }

  value(kind: Scalar | Message<unknown, unknown>, wireType: number): unknown {
    const delimited = typeof kind === 'object' || kind === 'bytes' || kind === 'text'
    if (wireType !== (delimited ? DELIMITED : VARINT)) throw new RangeError('a field has another type')
    switch (kind) {
      case 'int':
        return this.int()
      case 'flag':
        return this.int() !== 0
      case 'id':
        this.#varint()
        return (BigInt(this.#high) << 32n) | BigInt(this.#low)
      default: {
        const start = this.#length()
        if (kind === 'bytes') return this.#buffer.subarray(start, this.#offset)
        if (kind === 'text') return this.#buffer.toString('utf8', start, this.#offset)
        return this.#message(kind, start)
      }
    }
  }

  /** What a later version has added. */
  skip(wireType: number): void {
    if (wireType === VARINT) this.#varint()
    else if (wireType === DELIMITED) this.#length()
    else if (wireType === FIXED_64) this.#pass(8)
    else if (wireType === FIXED_32) this.#pass(4)
    else throw new RangeError(`${wireType} is no type of a field`)
  }

  #message(kind: Message<unknown, unknown>, start: number): unknown {
    const [end, outer] = [this.#offset, this.#end]
    this.#offset = start
    this.#end = end
    const value = kind.read(this)
    if (this.#offset !== end) throw new RangeError('a message is cut off')
    this.#end = outer
    return value
  }

  /** Passes what comes with its length; it stands from the returned offset to the present one. */
  #length(): number {
    const length = this.int()
    const start = this.#offset
    this.#pass(length)
    return start
  }

  #pass(count: number): void {
    this.#offset += count
    if (count < 0 || this.#offset > this.#end) throw new RangeError('a message is cut off')
  }

  #varint(): void {
    const first = this.#byte()
    this.#high = 0
    this.#low = first & 127
    if (first < 128) return
    let byte = first
    for (let shift = 7; byte >= 128; shift += 7) {
      if (shift > 63) throw new RangeError('a number has more than 64 bits')
      byte = this.#byte()
      const bits = byte & 127
      if (shift < 28) this.#low |= bits << shift
      else if (shift === 28) {
        this.#low = (this.#low | (bits << 28)) >>> 0
        this.#high = bits >>> 4
      } else this.#high = (this.#high | (bits << (shift - 32))) >>> 0
    }
    this.#low >>>= 0
  }

  #byte(): number {
    if (this.#offset >= this.#end) throw new RangeError('a message is cut off')
    return this.#buffer[this.#offset++]!
  }
}
