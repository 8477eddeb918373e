// @ts-check
/**
 * What access costs a request through the gateway: rate limits and quotas by who asks; keys, passwords and tokens,
 * tokens both as they are remembered and as each is verified anew (`remember: 0`); a rule.
 * One core for the gateway, the other for the load and the upstream (nginx). Rounds are interleaved.
 */
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { banyan, compare } from './gateway.mjs'
import { wrk } from './load.mjs'
import { startUpstream } from './proxy.mjs'

/** @type {Record<string, [make: () => import('node:crypto').KeyPairKeyObjectResult, hash: string | undefined]>} */
const ALGORITHMS = {
  RS256: [() => generateKeyPairSync('rsa', { modulusLength: 2048 }), 'sha256'],
  ES256: [() => generateKeyPairSync('ec', { namedCurve: 'P-256' }), 'sha256'],
  EdDSA: [() => generateKeyPairSync('ed25519'), undefined],
}

/** Keys for the gateway and a token by them. */
function issued(/** @type {string} */ alg) {
  const [make, hash] = ALGORITHMS[alg] ?? []
  if (!make) throw new Error(`no ${alg}`)
  const { publicKey, privateKey } = make()
  const part = (/** @type {object} */ value) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const claims = { iss: 'https://issuer.example/', aud: 'shop', sub: 'ada', scope: 'a b', exp: 4_000_000_000 }
  const text = `${part({ alg, kid: alg })}.${part(claims)}`
  const signature = sign(hash, Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' })
  const jwt = (/** @type {number} */ remember) => ({
    keys: { list: [{ ...publicKey.export({ format: 'jwk' }), kid: alg, alg }] },
    issuer: claims.iss,
    audience: claims.aud,
    remember,
  })
  return { jwt, header: `Authorization: Bearer ${text}.${signature.toString('base64url')}` }
}

/** @returns {Promise<string>} a table in Markdown */
export async function access() {
  const upstream = await startUpstream()
  const key = `bk_${randomBytes(32).toString('base64url')}`
  const hash = `sha256:${createHash('sha256').update(key).digest('hex')}`
  const keyed = { authenticators: { keys: { apiKey: { keys: { acme: { hash, scopes: ['a'] } } } } } }
  const apiKey = `X-Api-Key: ${key}`
  const rateLimit = { limit: 1_000_000_000, window: '1s' }
  const by = { by: 'keys' }
  /** @type {Record<string, [more: Parameters<typeof banyan>[1], header?: string]>} */
  const kinds = {
    'nothing on': [{}],
    'rate limit by address': [{ policies: { p: { rateLimit } }, route: { policy: 'p' } }],
    'API key': [{ ...keyed, route: { access: by } }, apiKey],
    'API key, rate limit by identity': [
      {
        ...keyed,
        policies: { p: { rateLimit: { ...rateLimit, by: 'identity' } } },
        route: { access: by, policy: 'p' },
      },
      apiKey,
    ],
    'API key, quota': [{ ...keyed, route: { access: by, quota: { limit: 1e12, per: '1d' } } }, apiKey],
    'API key, rule': [
      {
        ...keyed,
        route: { access: { ...by, allow: { rule: '"a" in identity.scopes && request.method == "GET"' } } },
      },
      apiKey,
    ],
    'API key, identity headers': [
      { ...keyed, route: { access: { ...by, identityHeaders: { 'X-User': 'sub', 'X-Scopes': 'scopes' } } } },
      apiKey,
    ],
  }
  for (const alg of Object.keys(ALGORITHMS)) {
    const { jwt, header } = issued(alg)
    for (const [name, remember] of /** @type {const} */ ([
      ['remembered', 10_000],
      ['verified anew', 0],
    ])) {
      const authenticators = { users: { jwt: jwt(remember) } }
      kinds[`JWT ${alg}, ${name}`] = [{ authenticators, route: { access: { by: 'users' } } }, header]
    }
  }
  /** @type {Parameters<typeof compare>[0]} */
  const variants = {}
  for (const [name, [more, header]] of Object.entries(kinds)) {
    const { port, stop } = await banyan(`http://127.0.0.1:${upstream.port}`, more)
    const args = ['-c64', ...(header === undefined ? [] : ['-H', header])]
    variants[name] = { load: () => wrk(`http://127.0.0.1:${port}/json`, args), stop }
  }
  try {
    return `## Access: what it costs a request\n\n150 B JSON GET, 64 connections.\n\n${await compare(variants)}`
  } finally {
    await upstream.stop()
  }
}
