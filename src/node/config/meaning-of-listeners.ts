import { systemClock } from '../../core/clock.js'
import type { ListenerSpec } from '../../traffic/http/listener-spec.js'
import { checkTls, filesOf, outOfTime, readFilesNow } from '../../traffic/http/tls/load.js'
import { DEFAULT_ADMIN, formatAddress, overlap, parseAddress } from '../address.js'
import type { ListenSetting } from '../spec.js'
import { formatPath, type MeaningProblem, type Path } from './problem.js'
import type { ConfigInput } from './schema/config.js'

/** How long before its end a certificate is worth a warning, in ms. */
const SOON_MS = 14 * 24 * 3600 * 1000

/** Checks where the node listens, and what it is to speak there: files are read as the node would read them. */
export function* checkListeners({ listen, admin }: ConfigInput): Generator<MeaningProblem> {
  const settings: [Path, ListenSetting][] = Array.isArray(listen)
    ? listen.map((each, index): [Path, ListenSetting] => [['listen', index], each as ListenSetting])
    : [[['listen'], listen as ListenSetting]]
  const taken: { host: string; port: number; by: string }[] = []
  if (admin === undefined) taken.push({ ...parseAddress(DEFAULT_ADMIN), by: 'the default of `admin`' })
  const listeners = settings.map(([path, each]): [Path, string | number] =>
    typeof each === 'object' ? [[...path, 'address'], each.address] : [path, each],
  )
  if (admin !== undefined && admin !== false) listeners.push([['admin'], admin])
  for (const [path, each] of listeners) {
    const { host, port } = parseAddress(each)
    const other = taken.find((one) => one.port === port && port !== 0 && overlap(one.host, host))
    const address = formatAddress({ address: host, port })
    if (other) yield error(path, `the address ${address} is taken by ${other.by} already`)
    taken.push({ host, port, by: `\`${formatPath(path)}\`` })
  }
  for (const [path, each] of settings) if (typeof each === 'object') yield* checkSpoken(path, each)
}

function* checkSpoken(path: Path, { tls, http2, h2c }: ListenerSpec): Generator<MeaningProblem> {
  if (!tls && http2 !== undefined)
    yield error([...path, 'http2'], 'needs `tls`; HTTP/2 without it is `h2c`', 'key')
  if (!tls) return
  if (h2c !== undefined) yield error([...path, 'h2c'], 'is for listeners without `tls`', 'key')
  const forward = tls.clients?.forward
  if (
    typeof forward === 'object' &&
    forward.subject !== undefined &&
    sameName(forward.subject, forward.names)
  )
    yield error([...path, 'tls', 'clients', 'forward', 'names'], 'is the field of `subject` already')
  const now = systemClock.wall()
  const { problems, material } = checkTls(tls, readFilesNow(filesOf(tls)))
  for (const problem of problems) yield error([...path, 'tls', ...problem.path], problem.message)
  for (const [index, certificate] of (material?.certificates ?? []).entries()) {
    const { notAfter } = certificate
    const late = outOfTime(certificate, now)
    if (!late && notAfter - now > SOON_MS) continue
    const days = Math.floor((notAfter - now) / (24 * 3600 * 1000))
    yield {
      severity: 'warning',
      path: [...path, 'tls', 'certificates', index, 'cert'],
      at: 'value',
      message: late
        ? `${late}: clients refuse it`
        : `expires in ${days} ${days === 1 ? 'day' : 'days'}, on ${new Date(notAfter).toISOString()}`,
    }
  }
}

function error(path: Path, message: string, at: 'key' | 'value' = 'value'): MeaningProblem {
  return { severity: 'error', path, message, at }
}

function sameName(a: string, b: string | undefined): boolean {
  return a.toLowerCase() === b?.toLowerCase()
}
