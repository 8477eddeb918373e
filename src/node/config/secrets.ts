import type { Path } from './problem.js'
import { redact } from './redact.js'
import { mapTexts } from './map-texts.js'

/** A password in front of the host, or in the query, as databases take it too. */
const IN_URL = /^[^:]*:\/\/[^/?#@]*:[^/?#@]+@|[?&](?:[a-z_-]*password|token|secret)=[^&#]/i

/**
 * Where a secret stands itself, and not a reference to it: many can read what is kept as a resource. `${NAME}` is one; its default is
 * not.
 *
 * @param config - as it is written
 */
export function secretsIn(config: unknown): Path[] {
  const found: Path[] = []
  const bare = mapTexts(config, (text) => text.replace(/\$\{[A-Za-z_]\w*\}/g, ''))
  const shown = redact(bare)
  mapTexts(bare, (text, path) => {
    const seen = at(shown, path)
    const hidden = text !== '' && seen !== text
    if (hidden && (!isUrl(text) || !isUrl(seen) || IN_URL.test(text))) found.push(path)
  })
  return found
}

function isUrl(text: unknown): boolean {
  return typeof text === 'string' && /^[a-z][a-z0-9+.-]*:\/\//i.test(text)
}

function at(value: unknown, path: Path): unknown {
  return path.reduce(
    (above, name) => (above as Readonly<Record<string | number, unknown>> | undefined)?.[name],
    value,
  )
}
