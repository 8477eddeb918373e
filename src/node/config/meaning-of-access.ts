import { parseDuration } from '../../core/duration.js'
import { needsIdentity } from '../../traffic/gateway/client-key.js'
import type { GatewaySpec } from '../../traffic/gateway/spec.js'
import type { MeaningProblem, Path } from './problem.js'
import type { ConfigInput } from './schema/config.js'

type Authenticator = NonNullable<ConfigInput['authenticators']>[string]
type Route = ConfigInput['routes'][string]

const KINDS = ['jwt', 'introspection', 'apiKey', 'basic', 'certificate'] as const

/** Where keys for tokens may come from. */
const SOURCES = ['url', 'file', 'list', 'secret'] as const

/** What it says of a name that is not there. */
type Unknown = (kind: string, name: string, known: readonly string[]) => string

/** `authenticators.<name>`: each is of one kind, and can work. */
export function* checkAuthenticator(config: ConfigInput, name: string): Generator<MeaningProblem> {
  const path = ['authenticators', name]
  const spec = config.authenticators![name]!
  const given = KINDS.filter((kind) => spec[kind] !== undefined)
  if (given.length === 0) yield error(path, `must say how: one of ${KINDS.join(', ')}`, 'key')
  for (const kind of given.slice(1))
    yield error([...path, kind], `contradicts \`${given[0]!}\`: an authenticator is of one kind`, 'key')
  const isUsed = Object.values(config.routes).some(({ access }) => [access?.by ?? []].flat().includes(name))
  if (!isUsed) yield warning(path, `the authenticator \`${name}\` is used by no route`)
  yield* checkJwt(spec, path)
  yield* checkUrl(spec.introspection?.url, [...path, 'introspection', 'url'])
  const { apiKey, basic, certificate } = spec
  if (apiKey && apiKey.file === undefined && Object.keys(apiKey.keys ?? {}).length === 0)
    yield error([...path, 'apiKey'], 'needs `keys` or `file`', 'key')
  if (basic && Object.keys(basic.users).length === 0)
    yield error([...path, 'basic', 'users'], 'there must be one user at least')
  const { subjects = [], names = [], fingerprints = [] } = certificate ?? {}
  if (certificate && subjects.length + names.length + fingerprints.length === 0)
    yield error([...path, 'certificate'], 'needs `subjects`, `names` or `fingerprints`', 'key')
  const seen = new Set<string>()
  for (const [key, { hash }] of Object.entries(apiKey?.keys ?? {})) {
    if (seen.has(hash)) yield error([...path, 'apiKey', 'keys', key, 'hash'], 'is the hash of another key')
    seen.add(hash)
  }
}

function* checkJwt({ jwt }: Authenticator, path: Path): Generator<MeaningProblem> {
  if (!jwt) return
  const { keys, algorithms = [] } = jwt
  const at = [...path, 'jwt', 'keys']
  const [source, ...more] = SOURCES.filter((each) => keys[each] !== undefined)
  if (source === undefined) yield error(at, `must say where they are: one of ${SOURCES.join(', ')}`, 'key')
  for (const each of more)
    yield error([...at, each], `contradicts \`${source!}\`: keys come from one place`, 'key')
  const bySecret = source === 'secret'
  for (const [index, algorithm] of algorithms.entries()) {
    if (algorithm.startsWith('HS') !== bySecret)
      yield error(
        [...path, 'jwt', 'algorithms', index],
        `${algorithm} does not go with ${bySecret ? 'a secret' : 'public keys'}`,
      )
  }
  for (const each of ['refreshEvery', 'cooldown', 'useStaleFor', 'timeout'] as const) {
    if (source !== 'url' && keys[each] !== undefined)
      yield error([...at, each], 'belongs to keys that are fetched from a `url`', 'key')
  }
  yield* checkUrl(keys.url, [...at, 'url'])
  const { refreshEvery = '10m', useStaleFor = '24h' } = keys
  if (parseDuration(useStaleFor)! < parseDuration(refreshEvery)!)
    yield error(
      [...at, 'useStaleFor'],
      'is shorter than `refreshEvery`: keys would be too old before they are fetched again',
    )
}

/** Whoever can change what another server says could say who asks. */
function* checkUrl(url: string | undefined, path: Path): Generator<MeaningProblem> {
  if (!url?.startsWith('http:')) return
  const { hostname } = new URL(url)
  const isLocal = /^(localhost|\[::1\]|127\.[\d.]+)$/.test(hostname)
  if (!isLocal) yield warning(path, 'is not https: whoever is on the way could vouch for anybody', 'value')
}

/** `access`, `cors` and `quota` of a route. */
export function* checkAccess(config: ConfigInput, name: string, unknown: Unknown): Generator<MeaningProblem> {
  const route = config.routes[name]!
  const path = ['routes', name]
  const { access, cors } = route
  const known = Object.keys(config.authenticators ?? {})
  for (const [index, each] of [access?.by ?? []].flat().entries()) {
    if (known.includes(each)) continue
    const at = Array.isArray(access!.by) ? ['by', index] : ['by']
    yield error([...path, 'access', ...at], unknown('authenticator', each, known))
  }
  if (access && access.by === undefined) {
    if (access.allow?.rule === undefined)
      yield error(
        [...path, 'access'],
        'needs `by`, or `allow.rule` alone, which asks nobody who they are',
        'key',
      )
    for (const key of ['scopes', 'claims', 'subjects'] as const)
      if (access.allow?.[key])
        yield error([...path, 'access', 'allow', key], 'needs `by`: nobody is asked who they are', 'key')
    if (access.identityHeaders)
      yield error([...path, 'access', 'identityHeaders'], 'needs `by`: nobody is asked who they are', 'key')
  }
  if (cors?.credentials && cors.origins === '*')
    yield error(
      [...path, 'cors', 'credentials'],
      'with every origin, any page could act as whoever visits it; name the origins',
      'key',
    )
  const quotas = Object.keys(config.quotas ?? {})
  for (const [index, each] of [route.quota ?? []].flat().entries()) {
    if (typeof each !== 'string' || quotas.includes(each)) continue
    const at = Array.isArray(route.quota) ? ['quota', index] : ['quota']
    yield error([...path, ...at], unknown('quota', each, quotas))
  }
  yield* checkCountedBy(config, route, path)
}

/** Who asks must be found out where it is counted. */
function* checkCountedBy(config: ConfigInput, route: Route, path: Path): Generator<MeaningProblem> {
  if (route.access?.by !== undefined) return
  const targets = (typeof route.to === 'string' ? [{ service: route.to }] : (route.to ?? []))
    .concat(Object.values(route.aggregate?.branches ?? {}))
    .map(({ service }) => service)
  const policies = [route.policy, ...targets.map((service) => config.services[service]?.policy)]
  for (const policy of policies) {
    const by = config.policies?.[policy ?? '']?.rateLimit?.['by']
    if (typeof by === 'string' && needsIdentity(by))
      yield error(
        path,
        `the policy \`${policy!}\` counts by \`${by}\`, but the route has no \`access.by\``,
        'key',
      )
  }
}

/** Rules of authorisation, by the library that evaluates them; loaded only if there are any. */
export async function checkRules({ routes }: GatewaySpec): Promise<MeaningProblem[]> {
  const rules = Object.entries(routes).flatMap(([name, { access }]) =>
    access?.allow?.rule === undefined ? [] : [[name, access.allow.rule] as const],
  )
  if (rules.length === 0) return []
  const { compileRule, RuleError } = await import('../../traffic/gateway/filters/access/rule.js')
  return rules.flatMap(([name, rule]) => {
    try {
      compileRule(rule)
      return []
    } catch (failure) {
      if (!(failure instanceof RuleError)) throw failure
      const { message, position } = failure
      const rest = rule.slice(position, position + 30)
      const where = rest === '' ? 'at the end' : `at \`${rest.split('\n')[0]!}\``
      return [error(['routes', name, 'access', 'allow', 'rule'], `${message}, ${where}`)]
    }
  })
}

function error(path: Path, message: string, at: 'key' | 'value' = 'value'): MeaningProblem {
  return { severity: 'error', path, message, at }
}

function warning(path: Path, message: string, at: 'key' | 'value' = 'key'): MeaningProblem {
  return { severity: 'warning', path, message, at }
}
