import { execFileSync, spawnSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { isPassword, parsePasswordHash } from '../../src/traffic/gateway/filters/access/password.js'
import { hashKey } from '../../src/traffic/gateway/filters/access/key-hash.js'
import { run } from '../support/cli.js'

describe('banyan key create', () => {
  test('prints the key alone on stdout, and on stderr what the configuration holds in its place', async () => {
    const { code, stdout, stderr } = await run(
      'key',
      'create',
      '-n',
      'acme',
      '-s',
      'a:read, b',
      '-e',
      '2030-01-01',
    )
    expect(code).toBe(0)
    const key = stdout.trim()
    expect(key).toMatch(/^bk_[\w-]{43}$/)
    expect(stderr).not.toContain(key)
    expect(parse(stderr.trim().split('\n').at(-1)!)).toEqual({
      acme: { hash: hashKey(key), scopes: ['a:read', 'b'], expires: '2030-01-01' },
    })
  })

  test('makes another key each time', async () => {
    const keys = await Promise.all(
      [1, 2].map(async () => (await run('key', 'create', '-n', 'a', '--json')).stdout),
    )
    const [one, two] = keys.map((text) => JSON.parse(text) as { key: string; entry: { hash: string } })
    expect(one!.key).not.toBe(two!.key)
    expect(one!.entry.hash).toBe(hashKey(one!.key))
  })

  test.each([
    [['-n', 'a', '-e', 'tomorrow'], 'no date or time of ISO 8601'],
    [['-n', 'a b'], 'not made of letters'],
  ])('%j is refused', async (args, message) => {
    const { code, stdout, stderr } = await run('key', 'create', ...args)
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toContain(message)
  })
})

describe('banyan password', () => {
  const main = new URL('../../dist/cli/main.js', import.meta.url).pathname

  test('hashes a line of stdin into a line for the configuration', async () => {
    const input = 'correct horse: ä\n'
    const output = execFileSync(process.execPath, [main, 'password', 'ada'], {
      input,
      encoding: 'utf8',
      stdio: 'pipe',
    })
    const { ada } = parse(output) as { ada: { hash: string } }
    const hash = parsePasswordHash(ada.hash)!
    expect(await isPassword('correct horse: ä', hash)).toBe(true)
    expect(await isPassword('correct horse: ä ', hash)).toBe(false)
  })

  test('takes no empty one', () => {
    const { status, stderr } = spawnSync(process.execPath, [main, 'password', 'ada'], {
      input: '\n',
      encoding: 'utf8',
    })
    expect(status).toBe(1)
    expect(stderr).toContain('there is no password')
  })
})
