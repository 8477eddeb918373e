import { eventError } from '../errors.js'
import type { Metadata } from '../log.js'

/** Under this name, the metadata of an event says what of it is encrypted. */
export const HEADER = '$personalData'

/** The parts of an event that hold personal data. */
export const PARTS = ['data', 'metadata'] as const
export type Part = (typeof PARTS)[number]

/**
 * What of an event is encrypted. In the event itself `null` stands in each place, so that the rest keeps its form.
 * Ciphertexts stand by their JSON Pointer in their part: nonce, ciphertext and tag, in base64url.
 */
export interface Header {
  readonly version: 1
  readonly subject: string
  /** Id of the subject's key. */
  readonly key: string
  readonly data?: Readonly<Record<string, string>>
  readonly metadata?: Readonly<Record<string, string>>
}

/**
 * The header of an event.
 *
 * @param where - what to call the event
 * @returns undefined if nothing of it is encrypted
 * @throws `BANYAN_PERSONAL_DATA_CORRUPT`
 */
export function headerOf(metadata: Metadata | undefined, where: string): Header | undefined {
  const value = metadata?.[HEADER]
  if (value === undefined) return undefined
  if (isHeader(value)) return value
  throw eventError(
    'BANYAN_PERSONAL_DATA_CORRUPT',
    `metadata.${HEADER} of ${where} is not what says which fields are encrypted; nothing else can stand there`,
  )
}

/** Metadata as the application knows it. */
export function withoutHeader(metadata: Metadata | undefined): Metadata {
  return Object.fromEntries(Object.entries(metadata ?? {}).filter(([name]) => name !== HEADER))
}

function isHeader(value: unknown): value is Header {
  if (typeof value !== 'object' || value === null) return false
  const { version, subject, key, data = {}, metadata = {} } = value as Record<string, unknown>
  return (
    version === 1 &&
    typeof subject === 'string' &&
    typeof key === 'string' &&
    isSealed(data) &&
    isSealed(metadata)
  )
}

function isSealed(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  return Object.entries(value).every(([pointer, text]) => pointer.startsWith('/') && typeof text === 'string')
}

/** What a ciphertext is of: one that comes to another subject, type or field does not decrypt. */
export function contextOf(subject: string, type: string, part: Part, pointer: string): string {
  return JSON.stringify(['banyan personal data', 1, subject, type, part, pointer])
}
