import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import type { CertificateSpec } from '../listener-spec.js'
import { alternativeNames } from './alternative-names.js'

/** The contents of files by their paths, or why they could not be read. */
export type Files = ReadonlyMap<string, Buffer | Error>

/** Something wrong with a file, or with what it holds. */
export interface TlsProblem {
  /** Where in the `tls` of a listener: `['certificates', 0, 'key']`. */
  path: readonly (string | number)[]
  message: string
}

/** A certificate that can be shown to clients. */
export interface Certificate {
  /** What logs and metrics call it: the first name it was issued for. */
  readonly label: string
  /** Host names it is shown for, in lower case; `*.` stands for one label. */
  readonly names: readonly string[]
  /** Kind of key, `rsa` or `ec`. */
  readonly keyType: string
  /** When it expires, in ms since 1970. */
  readonly notAfter: number
  readonly notBefore: number
  /** In PEM, with what vouches for it. */
  readonly chain: string
  readonly key: Buffer
  readonly passphrase: string | undefined
}

/**
 * Reads a certificate and its key, and checks that they can be used.
 *
 * @param report - told everything that is wrong: the option at fault, and why
 * @returns `undefined` if something is
 */
export function readCertificate(
  spec: CertificateSpec,
  files: Files,
  report: (option: 'cert' | 'key' | 'passphrase', message: string) => void,
): Certificate | undefined {
  const pem = contentOf(files, spec.cert, (message) => report('cert', message))
  const chain = pem && certificatesIn(pem, spec.cert, (message) => report('cert', message))
  const pemKey = contentOf(files, spec.key, (message) => report('key', message))
  const key = pemKey && keyIn(pemKey, spec, report)
  const leaf = chain?.[0]
  if (!leaf || !key) return undefined
  if (!leaf.checkPrivateKey(key)) {
    const later = chain.some((each) => each.checkPrivateKey(key))
    report('key', later
      ? `\`${spec.key}\` belongs to a later certificate in \`${spec.cert}\`, which must be the first there`
      : `\`${spec.key}\` is not the key of the certificate in \`${spec.cert}\``) // prettier-ignore
    return undefined
  }
  const text = chain.map((each) => each.toString()).join('')
  const parts = {
    cert: text,
    key: pemKey,
    ...(spec.passphrase === undefined ? {} : { passphrase: spec.passphrase }),
  }
  try {
    createSecureContext(parts)
  } catch (error) {
    report('cert', `\`${spec.cert}\` cannot be used (${(error as Error).message})`)
    return undefined
  }
  const issuedFor = hostNames(leaf)
  return {
    label: issuedFor[0] ?? spec.cert,
    names: spec.names?.map((name) => name.toLowerCase()) ?? issuedFor,
    keyType: key.asymmetricKeyType ?? 'unknown',
    notAfter: Date.parse(leaf.validTo),
    notBefore: Date.parse(leaf.validFrom),
    chain: text,
    key: pemKey,
    passphrase: spec.passphrase,
  }
}

/**
 * Why clients refuse a certificate at that time, in words; `undefined` if they do not.
 *
 * @param now - ms since 1970
 */
export function outOfTime({ notBefore, notAfter }: Certificate, now: number): string | undefined {
  if (notAfter <= now) return `has expired on ${new Date(notAfter).toISOString()}`
  return notBefore > now ? `is only valid from ${new Date(notBefore).toISOString()} on` : undefined
}

/** Content of a file that was read. */
export function contentOf(files: Files, path: string, report: (message: string) => void): Buffer | undefined {
  const content = files.get(path)
  if (content instanceof Buffer) return content
  const { code, message } = (content ?? new Error('not read')) as NodeJS.ErrnoException
  if (code === 'ENOENT') report(`there is no file \`${path}\``)
  else report(`cannot read \`${path}\` (${code ?? message})`)
  return undefined
}

const BLOCK = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/** All certificates of a file in PEM. */
export function certificatesIn(
  content: Buffer,
  path: string,
  report: (message: string) => void,
): X509Certificate[] | undefined {
  const blocks = content.toString('latin1').match(BLOCK)
  if (!blocks) {
    report(`\`${path}\` holds no certificate in PEM`)
    return undefined
  }
  try {
    return blocks.map((block) => new X509Certificate(block))
  } catch (error) {
    report(`\`${path}\` holds a certificate that cannot be read (${(error as Error).message})`)
    return undefined
  }
}

function keyIn(
  content: Buffer,
  { key, passphrase }: CertificateSpec,
  report: (option: 'key' | 'passphrase', message: string) => void,
): KeyObject | undefined {
  try {
    return createPrivateKey({ key: content, ...(passphrase === undefined ? {} : { passphrase }) })
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (passphrase === undefined && content.includes('ENCRYPTED'))
      report('key', `\`${key}\` is encrypted; it needs a \`passphrase\``)
    else if (/DECRYPT/i.test(code ?? '')) report('passphrase', `does not open \`${key}\``)
    else report('key', `\`${key}\` holds no private key in PEM (${message})`)
    return undefined
  }
}

/** The host names that a certificate was issued for; the common name only where there is nothing else (RFC 9525). */
function hostNames(leaf: X509Certificate): string[] {
  const names = alternativeNames(leaf.subjectAltName).flatMap((name) =>
    name.startsWith('DNS:') ? name.slice(4).toLowerCase() : [],
  )
  if (leaf.subjectAltName !== undefined) return names
  const common = /(?:^|\n)CN=([^\n]+)/.exec(leaf.subject)?.[1]
  return common === undefined ? [] : [common.toLowerCase()]
}
