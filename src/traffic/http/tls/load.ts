import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { BanyanError } from '../../../core/errors.js'
import type { TlsSpec } from '../listener-spec.js'
import {
  certificatesIn,
  contentOf,
  readCertificate,
  type Certificate,
  type Files,
  type TlsProblem,
} from './certificate.js'

export { outOfTime } from './certificate.js'

/** What the files of a `tls` hold, checked. */
export interface TlsMaterial {
  readonly certificates: readonly Certificate[]
  /** The authorities that may vouch for clients, in PEM. */
  readonly ca: readonly string[] | undefined
}

/** Every file that a `tls` names. */
export function filesOf({ certificates, clients }: TlsSpec): string[] {
  return [...certificates.flatMap(({ cert, key }) => [cert, key]), ...(clients ? [clients.ca] : [])]
}

/** Reads files, failures included, at once. */
export function readFilesNow(paths: readonly string[]): Files {
  return new Map(
    paths.map((path): [string, Buffer | Error] => {
      try {
        return [path, readFileSync(path)]
      } catch (error) {
        return [path, error as Error]
      }
    }),
  )
}

/** Reads files, failures included. */
export async function readFiles(paths: readonly string[]): Promise<Files> {
  return new Map(
    await Promise.all(
      paths.map(async (path): Promise<[string, Buffer | Error]> => [
        path,
        await readFile(path).catch((error: unknown) => error as Error),
      ]),
    ),
  )
}

/**
 * Checks what the files of a `tls` hold. That a certificate is out of time is no fault of the files: a node that did not
 * start for it would refuse everybody, not only those who look at the date.
 *
 * @returns everything that is wrong; the material if nothing is
 */
export function checkTls(spec: TlsSpec, files: Files): { problems: TlsProblem[]; material?: TlsMaterial } {
  const problems: TlsProblem[] = []
  const certificates = spec.certificates.flatMap((each, index) => {
    const read = readCertificate(each, files, (option, message) =>
      problems.push({ path: ['certificates', index, option], message }),
    )
    return read ?? []
  })
  if (problems.length === 0) problems.push(...twins(certificates))
  const { clients } = spec
  const reportCa = (message: string): void => void problems.push({ path: ['clients', 'ca'], message })
  const pem = clients && contentOf(files, clients.ca, reportCa)
  const ca = pem && certificatesIn(pem, clients.ca, reportCa)?.map((each) => each.toString())
  return problems.length > 0 ? { problems } : { problems, material: { certificates, ca } }
}

/**
 * The same for those who need all of it.
 *
 * @throws {@link BanyanError} `BANYAN_CERTIFICATE` if something is wrong
 */
export function requireTls(spec: TlsSpec, files: Files): TlsMaterial {
  const { problems, material } = checkTls(spec, files)
  if (material) return material
  const text = problems.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')
  throw new BanyanError('BANYAN_CERTIFICATE', text)
}

/** Two certificates for the same names and with the same kind of key: one would never be shown. */
function twins(certificates: readonly Certificate[]): TlsProblem[] {
  const keyOf = ({ names, keyType }: Certificate): string => [keyType, ...[...names].sort()].join()
  const keys = certificates.map(keyOf)
  return keys.flatMap((key, index) => {
    const first = keys.indexOf(key)
    if (first === index) return []
    const message = `stands for the same names as \`certificates[${first}]\``
    return [{ path: ['certificates', index], message }]
  })
}
