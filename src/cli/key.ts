import { keyProblem } from '../traffic/gateway/filters/access/key-entry.js'
import { hashKey, newKey } from '../traffic/gateway/filters/access/key-hash.js'
import type { KeySpec } from '../traffic/gateway/filters/access/spec.js'
import { BanyanError } from '../core/errors.js'

/** `banyan key create`. The key goes to stdout, so that it can be piped to where it is needed; the rest to stderr. */
export function createKey(options: { name: string; scopes?: string; expires?: string; json?: true }): void {
  const { name, scopes, expires, json } = options
  const key = newKey()
  const entry: KeySpec = {
    hash: hashKey(key),
    ...(scopes === undefined ? {} : { scopes: scopes.split(',').map((scope) => scope.trim()) }),
    ...(expires === undefined ? {} : { expires }),
  }
  const problem = /^[A-Za-z0-9_][\w.-]*$/.test(name)
    ? keyProblem(entry)
    : 'has a name that is not made of letters, digits, `_`, `-` and `.`'
  if (problem !== undefined) throw new BanyanError('BANYAN_INVALID_OPTIONS', `the key ${problem}`)
  if (json) {
    console.log(JSON.stringify({ name, key, entry }))
    return
  }
  console.error('The key, shown this once:')
  console.log(key)
  console.error(`
For \`keys\` of an apiKey authenticator in banyan.yaml, or for its file:
${name}: ${yamlOf(entry)}`)
}

function yamlOf({ hash, scopes, expires }: KeySpec): string {
  const parts = [`hash: ${quoted(hash)}`]
  if (scopes) parts.push(`scopes: [${scopes.map(quoted).join(', ')}]`)
  if (expires !== undefined) parts.push(`expires: ${quoted(expires)}`)
  return `{ ${parts.join(', ')} }`
}

function quoted(text: string): string {
  return JSON.stringify(text)
}
