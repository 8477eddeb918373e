/** Keys from the first of a range to before its end; without an end, all that come after. */
export interface KeyRange {
  readonly from: string
  readonly end: string | undefined
}

const LAST = 0x10ffff
/** Between the two are surrogates, which are no characters. */
const BEFORE_SURROGATES = 0xd7ff
const AFTER_SURROGATES = 0xe000

/** The keys that begin with a prefix, in the order of their bytes in UTF-8, as a range: what an index can find. */
export function rangeOf(prefix: string): KeyRange {
  const characters = Array.from(prefix, (character) => character.codePointAt(0)!)
  while (characters.at(-1) === LAST) characters.pop()
  const last = characters.pop()
  if (last === undefined) return { from: prefix, end: undefined }
  const next = last === BEFORE_SURROGATES ? AFTER_SURROGATES : last + 1
  return { from: prefix, end: String.fromCodePoint(...characters, next) }
}
