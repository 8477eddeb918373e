import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'

/** A password as scrypt (RFC 7914) has hashed it. */
export interface PasswordHash {
  /** log2 of the cost. */
  ln: number
  r: number
  p: number
  salt: Buffer
  hash: Buffer
}

/** 2^16, 8, 1: 64 MB and about a tenth of a second, within what OWASP asks for. */
const COST = { ln: 16, r: 8, p: 1 } as const

/** What one verification may cost: 256 MB. */
const MOST = { ln: 18, r: 8, p: 4 } as const

const HASH_BYTES = 32
const SALT_BYTES = 16

/** The PHC string format: `$scrypt$ln=16,r=8,p=1$<salt>$<hash>`, base64 without padding. */
const FORMAT =
  /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/

/**
 * Reads a hash.
 *
 * @returns `undefined` if it is none, or costs more or less than is allowed
 */
export function parsePasswordHash(text: string): PasswordHash | undefined {
  const match = FORMAT.exec(text)
  if (!match) return undefined
  const [ln, r, p] = [Number(match[1]), Number(match[2]), Number(match[3])]
  if (ln < 14 || ln > MOST.ln || r < 1 || r > MOST.r || p < 1 || p > MOST.p) return undefined
  return { ln, r, p, salt: Buffer.from(match[4]!, 'base64'), hash: Buffer.from(match[5]!, 'base64') }
}

/** Hashes a password for a configuration. */
export async function hashPassword(password: string, ln: number = COST.ln): Promise<string> {
  const salt = randomBytes(SALT_BYTES)
  const { r, p } = COST
  const hash = await derive(password, { ln, r, p, salt }, HASH_BYTES)
  const text = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '')
  return `$scrypt$ln=${ln},r=${r},p=${p}$${text(salt)}$${text(hash)}`
}

/** Whether it is the password; takes the same time whether it is or not. */
export async function isPassword(password: string, expected: PasswordHash): Promise<boolean> {
  return timingSafeEqual(await derive(password, expected, expected.hash.length), expected.hash)
}

function derive(
  password: string,
  { ln, r, p, salt }: Omit<PasswordHash, 'hash'>,
  length: number,
): Promise<Buffer> {
  const N = 2 ** ln
  return new Promise((resolve, reject) => {
    // Node's own bound is just too low for a cost of 2^15.
    scrypt(password, salt, length, { N, r, p, maxmem: 256 * N * r }, (error, hash) => {
      if (error) reject(error)
      else resolve(hash)
    })
  })
}
