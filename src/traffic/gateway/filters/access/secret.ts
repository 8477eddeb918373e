import { readFileSync } from 'node:fs'
import { BanyanError } from '../../../../core/errors.js'
import type { SecretSpec } from './spec.js'

/**
 * Reads a secret.
 *
 * @param owner - path of the setting, for the error
 * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` if it is not there or empty
 */
export function readSecret(spec: SecretSpec, owner: string): string {
  const fail = (message: string, cause?: unknown): never => {
    throw new BanyanError('BANYAN_INVALID_OPTIONS', `${owner}: ${message}`, { cause })
  }
  if ('env' in spec) {
    const value = process.env[spec.env]
    return value !== undefined && value !== ''
      ? value
      : fail(`the environment variable \`${spec.env}\` is not set`)
  }
  let text: string
  try {
    text = readFileSync(spec.file, 'utf8').replace(/\r?\n$/, '')
  } catch (error) {
    return fail((error as Error).message, error)
  }
  return text === '' ? fail(`the file \`${spec.file}\` is empty`) : text
}
