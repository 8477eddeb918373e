import type {
  DeleteCollectionOptions,
  DeleteResourceOptions,
  FieldValidation,
  ListOptions,
  PropagationPolicy,
  Selection,
  WatchResourcesOptions,
  WriteOptions,
} from '../api.js'
import { badRequest, type ProblemReason } from '../error.js'
import { isObject } from '../schema/is-object.js'
import { Refusal } from './status.js'

/** The longest name of who manages fields, as in Kubernetes. */
const LONGEST_MANAGER = 128

const MATCHES = ['NotOlderThan', 'Exact'] as const
const FIELD_VALIDATIONS: readonly FieldValidation[] = ['Strict', 'Warn', 'Ignore']

const DELETE_OPTIONS: Readonly<Record<string, { is: (value: unknown) => boolean; what: string }>> = {
  dryRun: { is: Array.isArray, what: 'a list' },
  gracePeriodSeconds: { is: Number.isInteger, what: 'a whole number' },
  orphanDependents: { is: (value) => typeof value === 'boolean', what: 'true or false' },
  preconditions: { is: isObject, what: 'an object' },
}

/** What a request for a watch asks. */
export interface WatchRequest extends WatchResourcesOptions {
  /** Until it ends, in seconds; undefined if the client leaves that to us. */
  readonly timeoutSeconds: number | undefined
  /** That nothing of what there is comes first, though no version is named. */
  readonly fromNow: boolean
}

/** Parameters of a request; those that nobody knows are not looked at, as in Kubernetes. */
export class Parameters {
  readonly #query: URLSearchParams

  constructor(query: URLSearchParams) {
    this.#query = query
  }

  get watch(): boolean {
    return this.#flag('watch') ?? false
  }

  get pretty(): boolean {
    return this.#flag('pretty') ?? false
  }

  selection(namespace: string | undefined): Selection {
    const labelSelector = this.#text('labelSelector')
    const fieldSelector = this.#text('fieldSelector')
    return {
      ...(namespace !== undefined && { namespace }),
      ...(labelSelector !== undefined && { labelSelector }),
      ...(fieldSelector !== undefined && { fieldSelector }),
    }
  }

  list(namespace: string | undefined): ListOptions {
    const resourceVersion = this.#text('resourceVersion')
    const resourceVersionMatch = this.#choice('ListOptions', 'resourceVersionMatch', MATCHES)
    const limit = this.#number('limit')
    const token = this.#text('continue')
    if (this.#flag('sendInitialEvents') !== undefined)
      throw forbidden('ListOptions', 'sendInitialEvents', 'sendInitialEvents is forbidden for list')
    if (resourceVersionMatch) checkMatch(resourceVersionMatch, resourceVersion, token)
    return {
      ...this.selection(namespace),
      ...(resourceVersion !== undefined && { resourceVersion }),
      ...(resourceVersionMatch && { resourceVersionMatch }),
      ...(limit !== undefined && { limit }),
      ...(token !== undefined && { continue: token }),
    }
  }

  watching(namespace: string | undefined): WatchRequest {
    const resourceVersion = this.#text('resourceVersion')
    const match = this.#choice('ListOptions', 'resourceVersionMatch', MATCHES)
    const sendInitialEvents = this.#flag('sendInitialEvents')
    if (sendInitialEvents === undefined && match !== undefined)
      throw forbidden(
        'ListOptions',
        'resourceVersionMatch',
        'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
      )
    if (sendInitialEvents !== undefined && match !== 'NotOlderThan')
      throw forbidden(
        'ListOptions',
        'resourceVersionMatch',
        'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
      )
    const fromNow = sendInitialEvents === false && (resourceVersion ?? '0') === '0'
    return {
      ...this.selection(namespace),
      ...(resourceVersion !== undefined && { resourceVersion }),
      ...(sendInitialEvents === true && { sendInitialEvents }),
      allowWatchBookmarks: this.#flag('allowWatchBookmarks') ?? false,
      timeoutSeconds: this.#number('timeoutSeconds'),
      fromNow,
    }
  }

  /**
   * @param verb - as it is in the name of the options: `Create`
   * @param agent - the `User-Agent`, whose beginning names who manages fields if nothing else does
   * @param onWarning - told of what was left out
   */
  write(
    verb: 'Create' | 'Update' | 'Patch',
    agent: string | undefined,
    onWarning: (warning: string) => void,
  ): WriteOptions {
    const options = `${verb}Options`
    const fieldValidation = this.#choice(options, 'fieldValidation', FIELD_VALIDATIONS)
    return {
      dryRun: this.#dryRun(options),
      fieldValidation: fieldValidation ?? 'Warn',
      fieldManager: this.#manager(options, agent),
      onWarning,
    }
  }

  /** Whether an apply takes fields from others. */
  get force(): boolean {
    return this.#flag('force') ?? false
  }

  /** Who applies has to say who it is. */
  get hasManager(): boolean {
    return this.#text('fieldManager') !== undefined
  }

  /** @param body - `DeleteOptions`, if there are some; what they say counts more than the parameters, but a dry run is one wherever it is said */
  deletion(body: unknown): DeleteResourceOptions {
    const given = deleteOptionsIn(body)
    const { preconditions } = given
    const asked = isObject(preconditions) ? preconditions : {}
    const [uid, resourceVersion] = [textIn(asked, 'uid'), textIn(asked, 'resourceVersion')]
    return {
      ...this.#propagation(given),
      dryRun: this.#dryRun('DeleteOptions', given['dryRun']),
      preconditions: {
        ...(uid !== undefined && { uid }),
        ...(resourceVersion !== undefined && { resourceVersion }),
      },
    }
  }

  /** {@link deletion} of all that are selected. */
  collectionDeletion(namespace: string | undefined, body: unknown): DeleteCollectionOptions {
    const given = deleteOptionsIn(body)
    if (given['preconditions'] !== undefined) throw badRequest('preconditions are about one resource')
    return {
      ...this.selection(namespace),
      ...this.#propagation(given),
      dryRun: this.#dryRun('DeleteOptions', given['dryRun']),
    }
  }

  #propagation(body: Readonly<Record<string, unknown>>): { propagationPolicy?: PropagationPolicy } {
    const asked = body['propagationPolicy'] ?? this.#text('propagationPolicy')
    const orphans = body['orphanDependents'] ?? this.#flag('orphanDependents')
    if (asked === undefined) return orphans === true ? { propagationPolicy: 'Orphan' } : {}
    if (orphans !== undefined)
      throw invalid(
        'DeleteOptions',
        'propagationPolicy',
        'Invalid value: orphanDependents and deletionPropagation cannot be both set',
      )
    if (asked !== 'Background' && asked !== 'Foreground' && asked !== 'Orphan')
      throw notSupported('DeleteOptions', 'propagationPolicy', asked, ['Background', 'Foreground', 'Orphan'])
    return { propagationPolicy: asked }
  }

  #dryRun(options: string, body?: unknown): boolean {
    // What is meant as a rehearsal must never be the real thing, wherever it is said.
    const inBody: readonly unknown[] = Array.isArray(body) ? body : []
    const asked = [...inBody, ...this.#query.getAll('dryRun')]
    const wrong = asked.find((each) => each !== 'All')
    if (wrong !== undefined) throw notSupported(options, 'dryRun', wrong, ['All'])
    return asked.length > 0
  }

  #manager(options: string, agent = ''): string {
    const named = this.#text('fieldManager')
    if (named !== undefined && named.length > LONGEST_MANAGER)
      throw invalid(
        options,
        'fieldManager',
        `Too long: may not be more than ${LONGEST_MANAGER} bytes`,
        'FieldValueTooLong',
      )
    return named ?? (agent.split('/', 1)[0]!.slice(0, LONGEST_MANAGER) || 'unknown')
  }

  /** Undefined if it is not there, or empty. */
  #text(name: string): string | undefined {
    const text = this.#query.get(name)
    return text === null || text === '' ? undefined : text
  }

  #flag(name: string): boolean | undefined {
    const text = this.#query.get(name)
    return text === null ? undefined : text.toLowerCase() !== 'false' && text !== '0'
  }

  #number(name: string): number | undefined {
    const text = this.#text(name)
    if (text === undefined) return undefined
    if (!/^\d{1,15}$/.test(text))
      throw badRequest(`${name}: must be a whole number, got ${JSON.stringify(text.slice(0, 80))}`)
    return Number(text)
  }

  #choice<Value extends string>(options: string, name: string, values: readonly Value[]): Value | undefined {
    const text = this.#text(name) as Value | undefined
    if (text !== undefined && !values.includes(text)) throw notSupported(options, name, text, values)
    return text
  }
}

/**
 * What is said and means something; other fields are not looked at. What is wrong must not pass for what was not said: more would
 * be deleted than is meant.
 */
function deleteOptionsIn(body: unknown): Readonly<Record<string, unknown>> {
  if (body === undefined) return {}
  if (!isObject(body)) throw badRequest('the options of a delete must be an object')
  const said = Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null))
  for (const [name, { is, what }] of Object.entries(DELETE_OPTIONS))
    if (said[name] !== undefined && !is(said[name])) throw badRequest(`${name} must be ${what}`)
  return said
}

function textIn(object: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = object[name]
  if (value !== undefined && value !== null && typeof value !== 'string')
    throw badRequest(`preconditions.${name} must be text`)
  return value ?? undefined
}

function checkMatch(
  match: (typeof MATCHES)[number],
  resourceVersion: string | undefined,
  token: string | undefined,
): void {
  const forbid = (why: string): Refusal =>
    forbidden('ListOptions', 'resourceVersionMatch', `resourceVersionMatch ${why}`)
  if (token !== undefined) throw forbid('is forbidden when continue is provided')
  if (resourceVersion === undefined) throw forbid('is forbidden unless resourceVersion is provided')
  if (match === 'Exact' && resourceVersion === '0')
    throw forbid('"Exact" is forbidden for resourceVersion "0"')
}

/** Options that may not be used so. */
export function forbidden(options: string, field: string, why: string): Refusal {
  return invalid(options, field, `Forbidden: ${why}`, 'FieldValueForbidden')
}

function notSupported(options: string, field: string, value: unknown, values: readonly string[]): Refusal {
  const supported = values.map((each) => JSON.stringify(each)).join(', ')
  return invalid(
    options,
    field,
    `Unsupported value: ${JSON.stringify(value)}: supported values: ${supported}`,
    'FieldValueNotSupported',
  )
}

/** What Kubernetes says of options that are wrong. */
export function invalid(
  options: string,
  field: string,
  message: string,
  reason: ProblemReason = 'FieldValueInvalid',
): Refusal {
  return new Refusal(422, 'Invalid', `${options}.meta.k8s.io "" is invalid: ${field}: ${message}`, {
    details: { group: 'meta.k8s.io', kind: options, causes: [{ reason, message, field }] },
  })
}
