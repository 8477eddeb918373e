import type { KeyObject } from 'node:crypto'
import type { BanyanError } from '../../core/errors.js'
import { eventError } from '../errors.js'
import { toJson } from '../json.js'
import type { Metadata, NewEvent, RecordedEvent } from '../log.js'
import { checkName } from '../names.js'
import type { EventTransform } from '../transform.js'
import { decrypt, encrypt } from './cipher.js'
import { contextOf, HEADER, headerOf, PARTS, withoutHeader, type Header, type Part } from './header.js'
import type { SubjectKey, SubjectKeys } from './keys.js'
import { findPlaces, placeOf, pointerOf, type FieldPath, type Place } from './paths.js'

/** A field whose key was deleted. */
export interface ForgottenField {
  readonly subject: string
  readonly type: string
  /** `data` or `metadata`. */
  readonly part: Part
  /** JSON Pointer in it. */
  readonly pointer: string
}

/** What is personal in events of one type. */
export interface Rule {
  readonly subject: FieldPath | ((event: NewEvent, stream: string) => string)
  readonly fields: Readonly<Record<Part, readonly FieldPath[]>>
}

/** The parts of an event as JSON has them: what is looked at is what would be stored. */
type Parts = Record<Part, unknown>

/** The transform behind `personalData`. */
export class PersonalData implements EventTransform {
  readonly #keys: SubjectKeys
  readonly #rules: ReadonlyMap<string, Rule>
  readonly #whenForgotten: (field: ForgottenField) => unknown

  constructor(
    keys: SubjectKeys,
    rules: ReadonlyMap<string, Rule>,
    whenForgotten: (field: ForgottenField) => unknown,
  ) {
    this.#keys = keys
    this.#rules = rules
    this.#whenForgotten = whenForgotten
  }

  write(event: NewEvent, stream: string): NewEvent | Promise<NewEvent> {
    const rule = this.#rules.get(event.type)
    if (!rule && event.metadata?.[HEADER] === undefined) return event
    return this.#seal(event, stream, rule)
  }

  read(event: RecordedEvent): RecordedEvent | Promise<RecordedEvent> {
    return event.metadata[HEADER] === undefined ? event : this.#open(event)
  }

  async #seal(event: NewEvent, stream: string, rule: Rule | undefined): Promise<NewEvent> {
    const where = `${event.type} for stream ${stream}`
    // There is one already if it was read from a log as it is there, to be imported here.
    const header = headerOf(event.metadata, where)
    if (header) await this.#check(header, event.type, where)
    if (!rule) return event
    const parts = jsonParts(event, where, rule)
    const places = placesOf(rule, parts, header, where)
    if (places.length === 0) return event

    const subject = subjectOf(rule, event, stream, parts.data, where)
    const key = await this.#keys.create(subject)
    if (header && (header.subject !== subject || header.key !== key.id))
      throw eventError(
        'BANYAN_INVALID_EVENT',
        `${where} has fields encrypted for subject ${header.subject}, and others that would be for ${subject}`,
      )
    const sealed: Record<Part, Record<string, string>> = {
      data: { ...header?.data },
      metadata: { ...header?.metadata },
    }
    for (const { part, place } of places) {
      const { container, name, pointer } = place
      const plain = Buffer.from(JSON.stringify(container[name]))
      sealed[part][pointer] = encrypt(key.key, plain, contextOf(subject, event.type, part, pointer)).toString(
        'base64url',
      )
      container[name] = null
    }
    const entry: Header = { version: 1, subject, key: key.id, ...withoutEmpty(sealed) }
    return { ...event, data: parts.data, metadata: { ...(parts.metadata as Metadata), [HEADER]: entry } }
  }

  /** What comes encrypted has to be what it says, or nobody will ever read it. */
  async #check(header: Header, type: string, where: string): Promise<void> {
    const key = await this.#keyOf(header, where)
    if (key === 'forgotten') return
    for (const part of PARTS)
      for (const [pointer, text] of Object.entries(header[part] ?? {}))
        decryptField(key.key, header, type, part, pointer, text, where)
  }

  async #open(event: RecordedEvent): Promise<RecordedEvent> {
    const { type, stream, revision, position, data } = event
    const where = `${type} at position ${position}, ${stream}@${revision}`
    const header = headerOf(event.metadata, where)!
    const key = await this.#keyOf(header, where)
    const metadata = withoutHeader(event.metadata)
    // Both were parsed for this reading alone, so that they may be changed.
    const parts: Parts = { data, metadata }
    for (const part of PARTS)
      for (const [pointer, text] of outermostFirst(header[part])) {
        const place = placeOf(parts[part], pointer)
        if (key === 'forgotten') {
          if (place)
            place.container[place.name] = this.#whenForgotten({
              subject: header.subject,
              type,
              part,
              pointer,
            })
          continue
        }
        if (!place) throw corrupt(part, pointer, where, 'has no place')
        const plain = decryptField(key.key, header, type, part, pointer, text, where)
        place.container[place.name] = JSON.parse(plain.toString())
      }
    return { ...event, metadata }
  }

  /** @throws `BANYAN_SUBJECT_KEY_UNAVAILABLE` */
  async #keyOf({ subject, key: id }: Header, where: string): Promise<SubjectKey | 'forgotten'> {
    const key = await this.#keys.get(subject)
    if (key === 'forgotten') return key
    if (key?.id === id) return key
    throw eventError(
      'BANYAN_SUBJECT_KEY_UNAVAILABLE',
      `${where} is encrypted with key ${id} of subject ${subject}, ` +
        `${key ? `but the store of keys has ${key.id}` : 'which the store of keys does not have'}: ` +
        'it is another store, or was restored from a backup made before that key',
    )
  }
}

function decryptField(
  key: KeyObject,
  { subject }: Header,
  type: string,
  part: Part,
  pointer: string,
  text: string,
  where: string,
): Buffer {
  const plain = decrypt(key, Buffer.from(text, 'base64url'), contextOf(subject, type, part, pointer))
  if (!plain) throw corrupt(part, pointer, where, 'does not decrypt: it was changed, or is of another event')
  return plain
}

/** A field may have become part of another one that is encrypted as a whole. */
function outermostFirst(sealed: Header[Part] = {}): [string, string][] {
  const entries = Object.entries(sealed)
  return entries.length > 1 ? entries.sort(([a], [b]) => a.length - b.length) : entries
}

function corrupt(part: Part, pointer: string, where: string, problem: string): BanyanError {
  return eventError(
    'BANYAN_PERSONAL_DATA_CORRUPT',
    `what is encrypted at ${part}${pointer} of ${where} ${problem}`,
  )
}

function jsonParts({ type, data, metadata }: NewEvent, where: string, rule: Rule): Parts {
  if (data instanceof Uint8Array && rule.fields.data.length > 0)
    throw eventError(
      'BANYAN_INVALID_EVENT',
      `${where} has bytes as data, in which no personal field can be found`,
    )
  return {
    data:
      data === undefined || data instanceof Uint8Array
        ? data
        : (JSON.parse(toJson(data, `data of ${type}`)) as unknown),
    metadata: JSON.parse(toJson(withoutHeader(metadata), `metadata of ${type}`)) as unknown,
  }
}

/** What is still to be encrypted; nothing that is in something else that is. */
function placesOf(
  rule: Rule,
  parts: Parts,
  header: Header | undefined,
  where: string,
): { part: Part; place: Place }[] {
  return PARTS.flatMap((part) => {
    const sealed = header?.[part] ?? {}
    const places = new Map<string, Place>()
    for (const path of rule.fields[part]) {
      const found = findPlaces(parts[part], path)
      if (found.length === 0 && isRequired(path) && !isWithin(pointerOf(path.parts), Object.keys(sealed)))
        throw eventError(
          'BANYAN_INVALID_EVENT',
          `${where} has no ${part}.${path.text}, which is to be encrypted; if it may be missing, say ${path.text}?`,
        )
      for (const place of found) if (!Object.hasOwn(sealed, place.pointer)) places.set(place.pointer, place)
    }
    const pointers = [...places.keys()]
    return [...places.values()]
      .filter(({ pointer }) => !isWithin(pointer, pointers))
      .map((place) => ({ part, place }))
  })
}

function isRequired({ optional, parts }: FieldPath): boolean {
  return !optional && !parts.includes('*')
}

function isWithin(pointer: string, others: readonly string[]): boolean {
  return others.some((outer) => pointer.startsWith(`${outer}/`))
}

function subjectOf({ subject }: Rule, event: NewEvent, stream: string, data: unknown, where: string): string {
  const value =
    typeof subject === 'function'
      ? subject(event, stream)
      : findPlaces(data, subject).map(({ container, name }) => container[name])[0]
  const name: unknown = typeof value === 'number' ? String(value) : value
  checkName(name, `the subject of ${where}${typeof subject === 'function' ? '' : `, data.${subject.text},`}`)
  return name
}

function withoutEmpty(
  sealed: Record<Part, Record<string, string>>,
): Partial<Record<Part, Record<string, string>>> {
  return Object.fromEntries(Object.entries(sealed).filter(([, fields]) => Object.keys(fields).length > 0))
}
