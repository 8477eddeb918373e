import { checkShape } from '../config/shape.js'
import { plain, substituted, type Environment } from '../config/environment.js'
import type { Path } from '../config/problem.js'
import { mapTexts } from '../config/map-texts.js'

/** A configuration with the environment put in. */
export interface Resolved {
  readonly value: unknown
  /** What could not be put in, and where. */
  readonly problems: readonly { readonly path: Path; readonly message: string }[]
}

/**
 * Puts the environment into a configuration that resources say. A file tells `"5"` from `5` by its quotes; here a text that something
 * was put into stays text where the configuration takes one, and is the number or the switch that it looks like where it does not.
 */
export function resolved(config: unknown, env: Environment): Resolved {
  const problems: { path: Path; message: string }[] = []
  const looksOtherwise = new Map<string, unknown>()
  const value = mapTexts(config, (text, path) => {
    if (!text.includes('${')) return text
    const put = substituted(text, env, (message) => problems.push({ path, message }))
    const other = plain(put)
    if (other !== put) looksOtherwise.set(keyOf(path), other)
    return put
  })
  if (problems.length > 0 || looksOtherwise.size === 0) return { value, problems }
  const shape = checkShape(value)
  const refused = new Set('problems' in shape ? shape.problems.map(({ path }) => keyOf(path)) : [])
  const mended = mapTexts(value, (text, path) =>
    refused.has(keyOf(path)) ? (looksOtherwise.get(keyOf(path)) ?? text) : text,
  )
  return { value: mended, problems }
}

function keyOf(path: Path): string {
  return path.map(String).join('\0')
}
