import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { createSecureContext, type SecureContext } from 'node:tls'
import { BanyanError } from '../../../core/errors.js'

/** How the `https` endpoints of a service are spoken to, as `services.<name>.tls` says it. */
export interface UpstreamTlsSpec {
  /** File with the certificates (PEM) of the authorities that may vouch for endpoints. Default: those Node knows. */
  ca?: string
  /** File with the certificate (PEM, with its chain) that we show; needs `key`. Default: none. */
  cert?: string
  /** File with the private key (PEM, not encrypted) of `cert`. */
  key?: string
  /** The name that an endpoint's certificate must be for, and that is asked for by SNI. Default: the host of its URL. */
  serverName?: string
  /** Whether endpoints must show a valid certificate for their name. Default true; `false` only hides from listeners. */
  verify?: boolean
}

/** The options of {@link UpstreamTlsSpec} that name files. */
type FileOption = 'ca' | 'cert' | 'key'

/** What is wrong with an option. */
export interface TlsProblem {
  option: FileOption | 'verify'
  severity: 'error' | 'warning'
  message: string
}

/** How long before its end a certificate is worth a warning, in ms. */
const SOON_MS = 7 * 24 * 3600 * 1000

/**
 * Reads the files as a service would, to tell what is wrong with them.
 *
 * @param wall - ms since 1970
 */
export function tlsProblems(spec: UpstreamTlsSpec, wall: number): TlsProblem[] {
  const problems: TlsProblem[] = []
  const attempt = <T>(option: FileOption, read: (data: string) => T): T | undefined => {
    const file = spec[option]
    if (file === undefined) return undefined
    try {
      return read(readFileSync(file, 'utf8'))
    } catch (error) {
      problems.push({ option, severity: 'error', message: whatIsWrong(file, option, error) })
      return undefined
    }
  }
  attempt('ca', certificatesIn)
  const chain = attempt('cert', certificatesIn)
  const key = attempt('key', privateKeyIn)
  if (spec.cert !== undefined && spec.key === undefined)
    problems.push({ option: 'cert', severity: 'error', message: 'a certificate needs its `key`' })
  if (spec.key !== undefined && spec.cert === undefined)
    problems.push({ option: 'key', severity: 'error', message: 'a key needs its `cert`' })
  const own = chain?.[0]
  if (own && key && !own.checkPrivateKey(key))
    problems.push({
      option: 'key',
      severity: 'error',
      message: 'is not the key of the certificate in `cert`',
    })
  const end = own && Date.parse(own.validTo)
  if (end !== undefined && end < wall + SOON_MS) {
    const message = `the certificate ${end < wall ? 'was' : 'is only'} valid until ${new Date(end).toISOString()}`
    problems.push({ option: 'cert', severity: 'warning', message })
  }
  if (spec.verify === false) {
    const message = 'anybody who can answer in the place of the endpoints is believed'
    problems.push({ option: 'verify', severity: 'warning', message })
  }
  return problems
}

/** Certificates and keys from files; what new connections get follows the files as they change. */
export class UpstreamTls {
  readonly serverName: string | undefined
  readonly verify: boolean
  readonly #files: readonly (readonly [FileOption, string])[]
  readonly #onProblem: (message: string) => void
  #context: SecureContext
  /** What told the files apart from others when they were last looked at. */
  #version: string

  /**
   * @param onProblem - told once about changed files that cannot be used; those read before stay in use
   * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` if a file is missing or not what it should be
   */
  constructor(spec: UpstreamTlsSpec, onProblem: (message: string) => void) {
    this.serverName = spec.serverName
    this.verify = spec.verify ?? true
    this.#files = (['ca', 'cert', 'key'] as const).flatMap((option) =>
      spec[option] === undefined ? [] : [[option, spec[option]] as const],
    )
    this.#onProblem = onProblem
    this.#version = this.#files.map(([, file]) => versionOf(statOf(file))).join()
    this.#context = this.#read()
  }

  /** What a new connection is to use. The same object as long as the files are the same. */
  async context(): Promise<SecureContext> {
    if (this.#files.length === 0) return this.#context
    const version = (
      await Promise.all(this.#files.map(([, file]) => stat(file).then(versionOf, () => 'missing')))
    ).join()
    if (version === this.#version) return this.#context
    this.#version = version
    try {
      this.#context = this.#read()
    } catch (error) {
      this.#onProblem((error as Error).message)
    }
    return this.#context
  }

  #read(): SecureContext {
    const contents: Partial<Record<FileOption, string>> = {}
    for (const [option, file] of this.#files) {
      try {
        const data = readFileSync(file, 'utf8')
        if (option === 'key') privateKeyIn(data)
        else certificatesIn(data)
        contents[option] = data
      } catch (error) {
        throw invalid(`\`${option}\`: ${whatIsWrong(file, option, error)}`, error)
      }
    }
    try {
      return createSecureContext({ minVersion: 'TLSv1.2', ...contents })
    } catch (error) {
      throw invalid(`\`cert\` and \`key\` do not belong together (${(error as Error).message})`, error)
    }
  }
}

const BLOCK = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/** @throws if there is none, or one cannot be read */
function certificatesIn(pem: string): X509Certificate[] {
  const blocks = pem.match(BLOCK)
  if (!blocks) throw new Error('there is no certificate in it')
  return blocks.map((block) => new X509Certificate(block))
}

/** @throws if there is none that can be used */
function privateKeyIn(pem: string): KeyObject {
  if (pem.includes('ENCRYPTED'))
    throw new Error('the key is encrypted, and there is nobody to ask for its passphrase')
  return createPrivateKey(pem)
}

function whatIsWrong(file: string, option: FileOption, error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'ENOENT') return `there is no file \`${file}\``
  if (code === 'EACCES' || code === 'EISDIR') return `cannot read \`${file}\` (${code})`
  const expected = option === 'key' ? 'a private key' : 'certificates'
  return `\`${file}\` does not hold ${expected} in PEM (${message})`
}

function versionOf(stats: { ino: number; size: number; mtimeMs: number } | undefined): string {
  return stats ? `${stats.ino} ${stats.size} ${stats.mtimeMs}` : 'missing'
}

function statOf(file: string): { ino: number; size: number; mtimeMs: number } | undefined {
  return statSync(file, { throwIfNoEntry: false })
}

function invalid(message: string, cause: unknown): BanyanError {
  return new BanyanError('BANYAN_INVALID_OPTIONS', message, { cause })
}
