import { RE2JS } from 're2js'

/** A regular expression whose time grows with the length of the text, and no faster. */
export interface LinearPattern {
  test(text: string): boolean
}

/**
 * Makes a pattern of a schema safe against texts that are chosen to take long (CWE-1333). What V8's backtracking does
 * in linear time too is left to it; everything else goes to an automaton with the semantics of RE2.
 *
 * @throws `Error` for what needs backtracking: look-around and references to groups
 */
export function linearPattern(pattern: string): LinearPattern {
  const native = new RegExp(pattern, 'u')
  if (isLinearNatively(pattern)) return native
  const automaton = compile(pattern)
  return { test: (text) => automaton.test(text) }
}

function compile(pattern: string): RE2JS {
  // The automaton would take a named reference for the text of it.
  if (pattern.includes('\\k<')) throw new Error('references to groups cannot be checked in linear time')
  try {
    return RE2JS.compile(RE2JS.translateRegExp(pattern))
  } catch (error) {
    const why = /\(\?<?[=!]/.test(pattern)
      ? 'look-around cannot be checked in linear time; write several patterns under `allOf`'
      : `cannot be checked in linear time: ${(error as Error).message}`
    throw new Error(why, { cause: error })
  }
}

/**
 * Anchored at its start, without groups that repeat or alternatives, and with one repetition at most: there is one way
 * to try, and one point to come back to.
 */
function isLinearNatively(pattern: string): boolean {
  if (!pattern.startsWith('^')) return false
  // Classes and escapes stand for one character each.
  const bare = pattern
    .slice(1)
    .replace(/\\(?:[pP]\{[^}]*\}|u\{[^}]*\}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[^1-9k])/g, 'c')
    .replace(/\[[^\]]*\]/g, 'c')
  if (/[()|\\[\]]/.test(bare)) return false
  return (bare.match(/[*+]|\{\d+,\d*\}/g) ?? []).length <= 1
}
