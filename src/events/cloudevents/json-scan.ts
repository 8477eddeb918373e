/** What is wrong with a JSON text, and where: its index in the text. */
export interface JsonProblem {
  readonly message: string
  readonly at: number
}

const SPACE = /[ \t\n\r]*/y
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4})/y
const NUMBER = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y
const WORD = /true|false|null/y

/**
 * Looks for what `JSON.parse` does not tell: where exactly a text stops to be JSON, and which whole number is larger than
 * JavaScript can hold exactly, and would be another one when it is read. Slower than `JSON.parse`, for when there is reason
 * to look.
 *
 * @returns undefined if all is well
 */
export function firstProblem(text: string): JsonProblem | undefined {
  let at = 0
  /** For each list or object around: what closes it. */
  const open: ('}' | ']')[] = []
  let state: 'value' | 'firstValue' | 'key' | 'firstKey' | 'after' = 'value'
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at
    const found = pattern.exec(text)?.[0]
    if (found !== undefined) at += found.length
    return found
  }
  const unexpected = (wanted: string): JsonProblem =>
    at < text.length
      ? { message: `unexpected ${JSON.stringify(text[at])} where ${wanted} must be`, at }
      : { message: `the text ends where ${wanted} must be`, at }

  for (;;) {
    take(SPACE)
    const next = text[at]
    if (state === 'after') {
      const close = open.at(-1)
      if (close === undefined) return at === text.length ? undefined : unexpected('the end')
      if (next === ',') {
        at++
        state = close === '}' ? 'key' : 'value'
      } else if (next === close) {
        at++
        open.pop()
      } else return unexpected(`a comma or ${close}`)
    } else if ((state === 'firstKey' && next === '}') || (state === 'firstValue' && next === ']')) {
      at++
      open.pop()
      state = 'after'
    } else if (state === 'key' || state === 'firstKey') {
      if (next !== '"') return unexpected('a name in quotes')
      const end = endOfString(text, at)
      if (typeof end !== 'number') return end
      at = end
      take(SPACE)
      if (text[at] !== ':') return unexpected('a colon')
      at++
      state = 'value'
    } else if (next === '{' || next === '[') {
      at++
      open.push(next === '{' ? '}' : ']')
      state = next === '{' ? 'firstKey' : 'firstValue'
    } else if (next === '"') {
      const end = endOfString(text, at)
      if (typeof end !== 'number') return end
      at = end
      state = 'after'
    } else {
      const start = at
      const number = take(NUMBER)
      if (number !== undefined) {
        if (!isHeld(number))
          return {
            message: `the number ${number} is larger than can be held exactly, it has to be text`,
            at: start,
          }
      } else if (take(WORD) === undefined) return unexpected('a value')
      state = 'after'
    }
  }
}

/**
 * Whether reading a number keeps it: it is the same, or is written the same again. Fractions are what their nearest number
 * is, as everywhere with JSON.
 */
function isHeld(number: string): boolean {
  if (/[.eE]/.test(number)) return Number.isFinite(Number(number))
  const read = Number(number)
  return number.length < 16 || String(read) === number || BigInt(read) === BigInt(number)
}

/**
 * Walks over a string, in steps: a pattern for all of it could run out of stack.
 *
 * @param start - where its first quote is
 * @returns the index behind its last quote, or what is wrong
 */
function endOfString(text: string, start: number): number | JsonProblem {
  for (let at = start + 1; at < text.length;) {
    const code = text.charCodeAt(at)
    if (code === 0x22) return at + 1
    if (code === 0x5c) {
      ESCAPE.lastIndex = at
      const length = ESCAPE.exec(text)?.[0].length
      if (length === undefined) return { message: 'an escape that JSON does not have', at }
      at += length
    } else if (code < 0x20) return { message: `${JSON.stringify(text[at])} cannot stand in a string`, at }
    else at++
  }
  return { message: 'the text ends inside a string', at: text.length }
}
