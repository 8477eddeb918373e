import { parse } from 'yaml'
import { mapTexts } from './map-texts.js'

/** What a configuration may have in it instead of a value that is not to be written down. */
export type Environment = Readonly<Record<string, string | undefined>>

/**
 * Puts the environment into a text: `${NAME}` is replaced by the variable, `${NAME:-text}` by `text` if that is not set or empty,
 * as in a shell, and `$${` stays `${`.
 *
 * @param report - told what is wrong with it
 */
export function substituted(text: string, env: Environment, report: (message: string) => void): string {
  return text.replace(
    /\$\$\{|\$\{(?:([A-Za-z_]\w*)(?::-([^}]*))?\})?/g,
    (whole, name: string | undefined, fallback: string | undefined) => {
      if (whole === '$${') return '${'
      if (name === undefined) {
        report('write ${NAME} or ${NAME:-default} for an environment variable, $${ for the text ${')
        return whole
      }
      const set = env[name]
      const value = fallback !== undefined && (set === undefined || set === '') ? fallback : set
      if (value === undefined)
        report(`the environment variable \`${name}\` is not set; set it, or write \${${name}:-default}`)
      return value ?? whole
    },
  )
}

/** A number, true or false, if the whole text is one; all other text stays as it is, whatever YAML makes of it. */
export function plain(text: string): unknown {
  if (!/^\S+$/.test(text)) return text
  try {
    const value: unknown = parse(text)
    return typeof value === 'number' || typeof value === 'boolean' ? value : text
  } catch {
    return text
  }
}

/** A configuration that has nothing put in, so that it says the same where something is: `$${` for `${`. */
export function escaped(config: unknown): unknown {
  return mapTexts(config, (text) => text.replaceAll('${', () => '$${'))
}
