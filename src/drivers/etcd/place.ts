import { readFile } from 'node:fs/promises'
import { duration } from '../../core/duration.js'
import { BanyanError } from '../../core/errors.js'
import { checkOptions } from '../../core/options.js'
import type { EtcdSettings } from './client/settings.js'
import { ETCD_COORDINATOR_OPTIONS, type EtcdCoordinatorSpec, type EtcdTlsSpec } from './spec.js'

/** Where keys are. */
export interface Place {
  readonly settings: EtcdSettings
  /** Stands before all keys. */
  readonly prefix: string
}

const DEFAULT_PORT = 2379
const URL_OF_ETCD = /^(etcds?):\/\/(?:([^/@]*)@)?([^/@]+)(?:\/(.*))?$/s
const MEMBER = /^(\[[0-9a-fA-F:.]+\]|[^\s:[\]]+)(?::(\d{1,5}))?$/

/**
 * Checks a specification and reads its files.
 *
 * @throws `BANYAN_INVALID_OPTIONS`
 */
export async function placeOf(spec: EtcdCoordinatorSpec): Promise<Place> {
  checkOptions('the etcd coordinator', ETCD_COORDINATOR_OPTIONS, spec)
  const { url, timeout = '5s' } = spec
  const [, scheme, login, members = '', path = ''] = URL_OF_ETCD.exec(url) ?? []
  const endpoints = members.split(',').map(endpointOf)
  if (scheme === undefined || endpoints.includes(undefined))
    throw invalid(
      'url must be etcd://user:password@host:2379,host:2379/prefix/, or etcds:// for TLS, with %40 for @ and %2F for / in ' +
        'user and password (it is not shown, it may hold a password)',
    )
  if (spec.tls && scheme === 'etcd') throw invalid('tls is for etcds://, and the url begins with etcd://')
  const settings: EtcdSettings = {
    endpoints: endpoints as string[],
    user: login === undefined ? undefined : userOf(login),
    tls: scheme === 'etcds' ? await tlsOf(spec.tls ?? {}) : undefined,
    timeout: duration(timeout),
  }
  return { settings, prefix: prefixOf(path) }
}

function endpointOf(member: string): string | undefined {
  const [, host, port = String(DEFAULT_PORT)] = MEMBER.exec(member) ?? []
  return host === undefined ? undefined : `${host}:${port}`
}

function userOf(login: string): { name: string; password: string } {
  const [name = '', ...password] = login.split(':')
  try {
    return { name: decodeURIComponent(name), password: decodeURIComponent(password.join(':')) }
  } catch {
    throw invalid('user and password in the url must have %25 for %')
  }
}

/** Keys stand below it, as files in a directory. */
function prefixOf(path: string): string {
  return path === '' || path.endsWith('/') ? path : `${path}/`
}

async function tlsOf({ ca, cert, key, serverName }: EtcdTlsSpec): Promise<EtcdSettings['tls']> {
  if ((cert === undefined) !== (key === undefined)) throw invalid('tls.cert and tls.key need each other')
  const files = Object.entries({ ca, cert, key }).map(async ([name, file]) => {
    try {
      return file === undefined ? undefined : await readFile(file)
    } catch (error) {
      throw invalid(`tls.${name} cannot be read: ${(error as Error).message}`, error)
    }
  })
  const [caPem, certPem, keyPem] = await Promise.all(files)
  return { ca: caPem, cert: certPem, key: keyPem, serverName }
}

function invalid(message: string, cause?: unknown): Error {
  return new BanyanError('BANYAN_INVALID_OPTIONS', `the etcd coordinator: ${message}`, { cause })
}
