/** Which keys: from one to before another. */
export interface Range {
  readonly from: string
  /** To SQLite, bytes come behind any text. */
  readonly to: string | Buffer
}

const BEHIND_ALL = Buffer.of(0)

/** A key alone; none has NUL. */
export function only(key: string): Range {
  return { from: key, to: `${key}\0` }
}

/** All keys that begin with a prefix, in the order of their bytes in UTF-8, which is the one of code points. */
export function beginningWith(prefix: string): Range {
  const points = Array.from(prefix, (character) => character.codePointAt(0)!)
  for (let point = points.pop(); point !== undefined; point = points.pop())
    if (point < 0x10_ffff) return { from: prefix, to: String.fromCodePoint(...points, behind(point)) }
  return { from: prefix, to: BEHIND_ALL }
}

/** Surrogates are no characters. */
function behind(point: number): number {
  return point === 0xd7ff ? 0xe000 : point + 1
}
