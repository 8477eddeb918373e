import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { checkSource, loadConfig } from './load.js'
import { formatProblem } from './problem.js'
import { readYaml } from './yaml-source.js'

const HASH = `sha256:${'ab'.repeat(32)}`

const GOOD = `listen: 8080
services:
  s: { endpoints: [http://127.0.0.1:4001] }
authenticators:
  users:
    jwt: { keys: { url: https://issuer.example/keys }, issuer: me, audience: shop }
  keys:
    apiKey: { keys: { acme: { hash: '${HASH}', scopes: [a] } } }
quotas:
  daily: { limit: 10, per: 1d }
routes:
  all:
    match: {}
    to: s
    quota: daily
    cors: { origins: [https://app.example] }
    access: { by: [users, keys], allow: { rule: 'identity.subject != ""' } }
`

function problemsOf(from: string, to: string): string[] {
  expect(GOOD).toContain(from)
  const loaded = checkSource(
    'f',
    readYaml(
      GOOD.replace(from, () => to),
      {},
    ),
  )
  return (loaded.ok ? loaded.warnings : loaded.problems).map((each) => formatProblem(each).slice(2))
}

test('what is right has no problems', () => {
  expect(problemsOf('me', 'me')).toEqual([])
})

test.each<[string, string, string]>([
  [
    '[users, keys]',
    '[users, key]',
    '17:27: routes.all.access.by[1]: unknown authenticator `key`, did you mean `keys`?',
  ],
  ['quota: daily', 'quota: weekly', '15:12: routes.all.quota: unknown quota `weekly`; known are daily'],
  [
    'origins: [https://app.example]',
    "origins: '*', credentials: true",
    '16:27: routes.all.cors.credentials: with every origin, any page could act',
  ],
  [
    'https://app.example]',
    'https://app.example/]',
    '16:23: routes.all.cors.origins[0]: must be an origin such as',
  ],
  [
    'https://app.example]',
    'https://app.example:443]',
    '16:23: routes.all.cors.origins[0]: must not name the port',
  ],
  ['https://app.example]', 'https://*]', '16:23: routes.all.cors.origins[0]: must be an origin such as'],
  [', audience: shop', '', '6:5: authenticators.users.jwt.audience: is missing'],
  [
    'audience: shop',
    'audience: shop, algorithms: [none]',
    'authenticators.users.jwt.algorithms[0]: must be one of "RS256"',
  ],
  [
    'audience: shop',
    'audience: shop, algorithms: [HS256]',
    'authenticators.users.jwt.algorithms[0]: HS256 does not go with public keys',
  ],
  [
    'https://issuer',
    'http://issuer',
    'authenticators.users.jwt.keys.url: is not https: whoever is on the way could vouch',
  ],
  [
    'https://issuer.example/keys',
    'https://issuer.example/keys, file: k.json',
    'jwt.keys.file: contradicts `url`',
  ],
  ['url: https://issuer.example/keys', 'timeout: 5s', 'jwt.keys: must say where they are: one of url, file'],
  [
    'url: https://issuer.example/keys',
    'file: k.json, cooldown: 1s',
    'jwt.keys.cooldown: belongs to keys that are fetched',
  ],
  ['url: https://issuer.example/keys', 'secret: plain', 'authenticators.users.jwt.keys.secret: must be'],
  [HASH, 'bk_theKeyItself', '8:37: authenticators.keys.apiKey.keys.acme.hash: must be `sha256:`'],
  [
    'scopes: [a]',
    'expires: 2030',
    'authenticators.keys.apiKey.keys.acme.expires: must be text, got 2030; write "2030"',
  ],
  [
    '  keys:\n    apiKey',
    '  keys:\n    basic: { users: {} }\n    apiKey',
    'authenticators.keys.apiKey: contradicts'.replace('apiKey: ', 'basic: '),
  ],
  ['[users, keys]', 'users', '7:3: authenticators.keys: the authenticator `keys` is used by no route'],
  [
    'by: [users, keys], allow: { rule',
    'allow: { scopes: [a], rule',
    'routes.all.access.allow.scopes: needs `by`',
  ],
  [
    'allow: {',
    'identityHeaders: { Authorization: sub }, allow: {',
    'identityHeaders.Authorization: has a meaning of its own',
  ],
  ['per: 1d', 'per: 1d, by: name', '10:36: quotas.daily.by: must be `client`, `identity`'],
])('%s -> %s: %s', (from, to, message) => {
  expect(problemsOf(from, to).join('\n')).toContain(message)
})

test('a policy that counts by who asks needs a route that finds that out', () => {
  const text = GOOD.replace(
    'routes:',
    'policies: { p: { rateLimit: { limit: 1, window: 1s, by: key } } }\nroutes:',
  )
    .replace(
      '    access: { by: [users, keys], allow: { rule: \'identity.subject != ""\' } }\n',
      '    policy: p\n',
    )
    .replace(/authenticators:[^]*quotas:/, 'quotas:')
  const loaded = checkSource('f', readYaml(text, {}))
  expect(loaded.ok ? [] : loaded.problems.map(formatProblem)).toEqual([
    'f:8:3: routes.all: the policy `p` counts by `key`, but the route has no `access.by`',
  ])
})

test.each([
  ['identity.name == "x"', 'No such key: name, at `name == "x"`'],
  ['identity.subject', 'must say true or false, but is of type string, at `identity.subject`'],
  ['request.method == "GET" &&', 'Unexpected token: EOF, at the end'],
])('the rule %s is refused with its place', async (rule, message) => {
  const folder = mkdtempSync(join(tmpdir(), 'banyan-rule-'))
  try {
    const file = join(folder, 'banyan.yaml')
    writeFileSync(file, GOOD.replace('identity.subject != ""', rule))
    const loaded = await loadConfig(file, {})
    expect(loaded.ok ? [] : loaded.problems.map(formatProblem)).toEqual([
      `${file}:17:49: routes.all.access.allow.rule: ${message}`,
    ])
  } finally {
    rmSync(folder, { recursive: true })
  }
})
