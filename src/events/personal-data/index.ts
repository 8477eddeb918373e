import { BanyanError } from '../../core/errors.js'
import { checkOptions, findProblems, type OptionTable } from '../../core/options.js'
import type { NewEvent } from '../log.js'
import type { EventTransform } from '../transform.js'
import type { SubjectKeys } from './keys.js'
import { parsePath } from './paths.js'
import { PersonalData, type ForgottenField, type Rule } from './personal-data.js'

/** Options of {@link personalData}. */
export interface PersonalDataOptions {
  /** The keys of subjects, as `openSubjectKeys` opens them. */
  keys: SubjectKeys
  /** What is personal, by type of event. Other types are left alone. */
  types: Readonly<Record<string, PersonalFields>>
  /** What is read in place of a field whose subject was forgotten: a value, or a function that makes one. Default null. */
  whenForgotten?: unknown
}

/** What is personal in events of one type. */
export interface PersonalFields {
  /** Whom it is about: a path in the data, or a function. Stays readable, so it should say nothing by itself. */
  subject: string | ((event: NewEvent, stream: string) => string)
  /**
   * Paths in the data: `name`, `address.street`, `phones.*` for each element or property. What is not there is an error,
   * so that a wrong path is noticed, unless the path ends in `?` or has a `*`. Default none.
   */
  fields?: readonly string[]
  /** The same, in the metadata. Default none. */
  metadata?: readonly string[]
}

const OPTIONS: OptionTable<Omit<PersonalDataOptions, 'whenForgotten'>> = {
  keys: { kind: 'code', type: 'object', doc: 'the keys of subjects' },
  types: { kind: 'code', type: 'object', doc: 'what is personal, by type' },
}

const FIELDS: OptionTable<PersonalFields> = {
  subject: {
    kind: 'either',
    of: [
      { kind: 'string', doc: 'a path in the data' },
      { kind: 'code', type: 'function', doc: 'gives the subject of an event' },
    ],
    doc: 'whom it is about',
  },
  fields: { kind: 'list', of: { kind: 'string', doc: 'a path' }, doc: 'paths in the data' },
  metadata: { kind: 'list', of: { kind: 'string', doc: 'a path' }, doc: 'paths in the metadata' },
}

/**
 * Encrypts personal fields on their way into the log, with a key for each subject, for
 * `openLog(where, { transforms: [types, personal] })`: after `keys.forget(subject)` nobody can read them, in no copy of
 * the log (crypto-shredding). Stands behind transforms that look at data, so that these see it as the application does.
 *
 * AES-256-GCM with a new nonce for each field; subject, type and path are authenticated with it, so that a ciphertext
 * opens nowhere else. What is encrypted is read back as long as its key is there, whatever `types` says then.
 *
 * Appending throws `BANYAN_SUBJECT_FORGOTTEN` for who was forgotten, and `BANYAN_INVALID_EVENT` where a field or the
 * subject is missing; reading throws `BANYAN_PERSONAL_DATA_CORRUPT` and `BANYAN_SUBJECT_KEY_UNAVAILABLE`.
 *
 * @throws `BANYAN_INVALID_OPTIONS`
 */
export function personalData(options: PersonalDataOptions): EventTransform {
  const { whenForgotten = null, ...checked } = options
  checkOptions('personalData', OPTIONS, checked)
  if ((options.keys as unknown) === undefined)
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      'personalData: keys are missing; openSubjectKeys opens them',
    )
  const rules = Object.entries(options.types).map(([type, fields]): [string, Rule] => [
    type,
    ruleOf(type, fields),
  ])
  return new PersonalData(
    options.keys,
    new Map(rules),
    typeof whenForgotten === 'function'
      ? (whenForgotten as (field: ForgottenField) => unknown)
      : () => whenForgotten,
  )
}

function ruleOf(type: string, given: PersonalFields): Rule {
  const [problem] = findProblems(FIELDS, given)
  const wrong = (message: string): BanyanError =>
    new BanyanError('BANYAN_INVALID_OPTIONS', `personalData: types.${type} ${message}`)
  if (problem) throw wrong(`${problem.path.join('.')} ${problem.message}`)
  const { subject, fields = [], metadata = [] } = given
  if ((subject as unknown) === undefined) throw wrong('has no subject')
  if (fields.length + metadata.length === 0) throw wrong('has neither fields nor metadata')
  if (typeof subject === 'string' && fields.includes(subject))
    throw wrong(
      `has its subject, ${subject}, among its fields; the subject stays readable, it must not be personal`,
    )
  const paths = (list: readonly string[], what: string) =>
    list.map((text) => parsePath(text, `${what} of ${type}`))
  return {
    subject: typeof subject === 'string' ? parsePath(subject, `the subject of ${type}`) : subject,
    fields: { data: paths(fields, 'a field'), metadata: paths(metadata, 'a metadata field') },
  }
}

export { Keyring, type SubjectKeysOptions } from './keyring.js'
export type { StoredKey, SubjectInfo, SubjectKey, SubjectKeys, SubjectKeyStore } from './keys.js'
export type { MasterKey, MasterKeySource } from './master-key.js'
export type { ForgottenField } from './personal-data.js'
