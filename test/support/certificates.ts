import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensure } from '../../scripts/engines.mjs'

const directory = mkdtempSync(join(tmpdir(), 'banyan-certificates-'))
let count = 0

/** A certificate and its key, as files. */
export interface TestCertificate {
  cert: string
  key: string
}

/** How a certificate is made. */
export interface CertificateOptions {
  /** Default: the first of `names`. */
  subject?: string
  /** Subject alternative names, as OpenSSL writes them: `DNS:shop.example`. */
  names?: string[]
  keyType?: 'ec' | 'rsa'
  /** First and last day, `20200101000000Z`. Default: now, and a month. */
  valid?: [from: string, to: string]
  passphrase?: string
}

function openssl(...args: string[]): void {
  execFileSync(ensure('openssl'), args, { stdio: ['ignore', 'ignore', 'pipe'] })
}

/** An authority for tests, with files of its own. */
export class TestAuthority {
  /** Its certificate, for those who are to believe it. */
  readonly cert: string
  readonly #key: string

  constructor(name = 'Test authority') {
    const base = join(directory, `authority-${count++}`)
    this.cert = `${base}.pem`
    this.#key = `${base}.key`
    openssl('req', '-x509', ...EC, '-nodes', '-days', '30', '-subj', `/CN=${name}`, '-keyout', this.#key, '-out', this.cert) // prettier-ignore
  }

  /** Its certificate in PEM. */
  get pem(): string {
    return readFileSync(this.cert, 'utf8')
  }

  /** Makes a certificate that it vouches for. */
  issue(options: CertificateOptions = {}): TestCertificate {
    const { names = ['DNS:localhost'], keyType = 'ec', passphrase } = options
    const base = join(directory, String(count++))
    const files = { cert: `${base}.pem`, key: `${base}.key` }
    const subject = options.subject ?? `/CN=${names[0]!.replace(/^.*?:/, '')}`
    const lock = passphrase === undefined ? ['-nodes'] : ['-passout', `pass:${passphrase}`]
    const kind = keyType === 'ec' ? EC : ['-newkey', 'rsa:2048']
    const alternatives = ['-addext', `subjectAltName=${names.join()}`]
    const vouched = ['-CA', this.cert, '-CAkey', this.#key]
    if (!options.valid) {
      openssl('req', '-x509', ...kind, ...lock, ...vouched, '-days', '30', '-subj', subject, '-utf8', ...alternatives, '-addext', 'basicConstraints=CA:FALSE', '-keyout', files.key, '-out', files.cert) // prettier-ignore
      return files
    }
    // Only the `ca` command of every OpenSSL takes dates.
    const request = `${base}.csr`
    const [from, to] = options.valid
    openssl('req', '-new', ...kind, ...lock, '-subj', subject, ...alternatives, '-keyout', files.key, '-out', request) // prettier-ignore
    const config = join(directory, `${count++}.cnf`)
    writeCaConfig(config, base)
    openssl('ca', '-batch', '-notext', '-config', config, '-cert', this.cert, '-keyfile', this.#key, '-startdate', from, '-enddate', to, '-in', request, '-out', files.cert) // prettier-ignore
    return files
  }
}

const EC = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']

function writeCaConfig(file: string, base: string): void {
  writeFileSync(`${base}.db`, '')
  writeFileSync(
    file,
    `[ca]
default_ca = it
[it]
database = ${base}.db
new_certs_dir = ${directory}
rand_serial = yes
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
[any]
commonName = optional
`,
  )
}
