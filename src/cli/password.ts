import { createInterface } from 'node:readline/promises'
import { BanyanError } from '../core/errors.js'
import { hashPassword } from '../traffic/gateway/filters/access/password.js'

/** `banyan password`. Reads it from stdin, so that it stands in no history and in no list of processes. */
export async function password(user: string): Promise<void> {
  if (process.stdin.isTTY) process.stderr.write('Password, shown as you type it: ')
  const lines = createInterface({ input: process.stdin })
  const { value } = (await lines[Symbol.asyncIterator]().next()) as { value?: string }
  lines.close()
  if (value === undefined || value === '')
    throw new BanyanError('BANYAN_INVALID_OPTIONS', 'there is no password; give one line on stdin')
  console.error('For `users` of a basic authenticator in banyan.yaml:')
  console.log(`${user}: { hash: '${await hashPassword(value)}' }`)
}
