/** The fields that an intermediary itself has something to do with; every other one is `Ordinary`. */
export const Kind = {
  Ordinary: 0,
  /** Hop-by-hop without further meaning to us, or nominated by `Connection`: never forwarded. */
  HopByHop: 1,
  Connection: 2,
  TE: 3,
  TransferEncoding: 4,
  Upgrade: 5,
  ContentLength: 6,
  Host: 7,
  Expect: 8,
  Via: 9,
  Forwarded: 10,
  XForwarded: 11,
  Trailer: 12,
  /** Fields of end-to-end meaning that a `Connection` nomination must not remove (RFC 9110 7.6.1). */
  Protected: 13,
} as const

export type Kind = (typeof Kind)[keyof typeof Kind]

const KINDS: [string, Kind][] = [
  ['connection', Kind.Connection],
  ['keep-alive', Kind.HopByHop],
  ['proxy-connection', Kind.HopByHop],
  ['http2-settings', Kind.HopByHop],
  ['te', Kind.TE],
  ['transfer-encoding', Kind.TransferEncoding],
  ['upgrade', Kind.Upgrade],
  ['content-length', Kind.ContentLength],
  ['host', Kind.Host],
  ['expect', Kind.Expect],
  ['via', Kind.Via],
  ['forwarded', Kind.Forwarded],
  ['x-forwarded-for', Kind.XForwarded],
  ['x-forwarded-proto', Kind.XForwarded],
  ['x-forwarded-host', Kind.XForwarded],
  ['client-cert', Kind.XForwarded],
  ['client-cert-chain', Kind.XForwarded],
  ['trailer', Kind.Trailer],
  ['authorization', Kind.Protected],
  ['cache-control', Kind.Protected],
  ['cookie', Kind.Protected],
]

const BY_LENGTH: (readonly [string, Kind][] | undefined)[] = []
for (const entry of KINDS) {
  const { length } = entry[0]
  BY_LENGTH[length] = [...(BY_LENGTH[length] ?? []), entry]
}

/** What a field name means to an intermediary; most are told apart by their length alone. */
export function kindOf(name: string): Kind {
  const candidates = BY_LENGTH[name.length]
  if (candidates === undefined) return Kind.Ordinary
  for (const [candidate, kind] of candidates) if (sameName(name, candidate)) return kind
  // CGI and all that came of it (WSGI, Rack, PHP) tell `_` and `-` not apart: a disguise of what we answer for.
  for (const [candidate] of candidates) if (isAlias(name, candidate)) return Kind.HopByHop
  return Kind.Ordinary
}

/** Whether servers that take `_` for `-` take the name for the other, in lower case. */
export function isAlias(name: string, lower: string): boolean {
  const { length } = name
  if (length !== lower.length) return false
  for (let index = 0; index < length; index++) {
    const code = name.charCodeAt(index)
    const other = lower.charCodeAt(index)
    if (code === other || (code === 0x5f && other === 0x2d)) continue
    if (code < 0x41 || code > 0x5a || (code | 0x20) !== other) return false
  }
  return true
}

/**
 * Compares a field name with one in lower case.
 *
 * @param name - a valid token
 * @param lower - the other, in lower case
 */
export function sameName(name: string, lower: string): boolean {
  const { length } = name
  if (length !== lower.length) return false
  for (let index = 0; index < length; index++) {
    const code = name.charCodeAt(index)
    if (
      code !== lower.charCodeAt(index) &&
      (code < 0x41 || code > 0x5a || (code | 0x20) !== lower.charCodeAt(index))
    ) {
      return false
    }
  }
  return true
}

/** A header or trailer section, in the order and the spelling it was received. Three parallel arrays: nothing per field. */
export class Fields {
  readonly names: string[] = []
  readonly values: string[] = []
  readonly kinds: Kind[] = []

  /** From pairs, for what we write ourselves. */
  static of(entries: Iterable<readonly [string, string]>): Fields {
    const fields = new Fields()
    for (const [name, value] of entries) fields.append(name, value)
    return fields
  }

  /** The same fields, to be changed on their own. */
  copy(): Fields {
    const fields = new Fields()
    for (let index = 0; index < this.names.length; index++) {
      fields.names.push(this.names[index]!)
      fields.values.push(this.values[index]!)
      fields.kinds.push(this.kinds[index]!)
    }
    return fields
  }

  get size(): number {
    return this.names.length
  }

  append(name: string, value: string): void {
    this.names.push(name)
    this.values.push(value)
    this.kinds.push(kindOf(name))
  }

  /**
   * The value of a field; several lines are joined with a comma, as RFC 9110 5.3 says.
   *
   * @param lower - the name in lower case
   */
  get(lower: string): string | undefined {
    let joined: string | undefined
    for (let index = 0; index < this.names.length; index++) {
      if (!sameName(this.names[index]!, lower)) continue
      joined = joined === undefined ? this.values[index]! : `${joined}, ${this.values[index]!}`
    }
    return joined
  }

  /** Removes every line of that name (in lower case). */
  delete(lower: string): void {
    for (let index = this.names.length - 1; index >= 0; index--) {
      if (sameName(this.names[index]!, lower)) this.remove(index)
    }
  }

  /** Removes one line. */
  remove(index: number): void {
    this.names.splice(index, 1)
    this.values.splice(index, 1)
    this.kinds.splice(index, 1)
  }

  *[Symbol.iterator](): Generator<[string, string]> {
    for (let index = 0; index < this.names.length; index++) yield [this.names[index]!, this.values[index]!]
  }
}
