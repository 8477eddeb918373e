import { BanyanError } from '../../core/errors.js'
import { suggest } from '../../core/suggest.js'
import { eventError } from '../errors.js'
import type { NewEvent, RecordedEvent } from '../log.js'
import { checkName } from '../names.js'
import type { EventTransform } from '../transform.js'
import { InvalidEventError, type EventProblem } from './invalid-event.js'
import type { Validator, Verdict } from './validator.js'
import { JsonSchemas, type JsonSchema } from './json-schema.js'
import {
  isStandardSchema,
  pathOf,
  type StandardIssue,
  type StandardSchema,
} from '../../core/standard-schema.js'

/** What the data of a type must be. */
export type EventSchema = StandardSchema<never, unknown> | StandardSchema | JsonSchema

/** Schemas of one type by version, from 1: `{ 1: first, 2: second }`. */
export type VersionedSchemas = Readonly<Record<number, EventSchema>>

/** The types of a registry by name. */
export type EventSchemas = Readonly<Record<string, EventSchema | VersionedSchemas>>

/** Options of `eventTypes`. */
export interface EventTypesOptions<Checked extends boolean = boolean> {
  /** What becomes of an event whose type is not in the registry: default `refuse`. */
  unknown?: 'refuse' | 'allow'
  /**
   * Whether what is read is checked too, and is the output of its schema: default false, as it was checked when it was
   * appended. An event that is not as its schema says ends the reading with an error.
   */
  checkReads?: Checked
  /** JSON Schemas that those of the types refer to, by what a `$ref` calls them. Default none. */
  definitions?: Readonly<Record<string, JsonSchema>>
}

/** A registry of types, made by `eventTypes`. */
export interface EventTypes<
  Schemas extends EventSchemas = EventSchemas,
  Checked extends boolean = boolean,
> extends EventTransform {
  /** As they were given. */
  readonly schemas: Schemas
  readonly checkReads: Checked
}

interface KnownType {
  readonly versions: ReadonlyMap<number, Validator>
  readonly newest: number
}

/** The transform behind `eventTypes`. */
export class Registry<Schemas extends EventSchemas, Checked extends boolean> implements EventTypes<
  Schemas,
  Checked
> {
  readonly schemas: Schemas
  readonly checkReads: Checked
  readonly #allowUnknown: boolean
  readonly #types: ReadonlyMap<string, KnownType>

  constructor(schemas: Schemas, options: EventTypesOptions<Checked>) {
    this.schemas = schemas
    this.checkReads = (options.checkReads ?? false) as Checked
    this.#allowUnknown = options.unknown === 'allow'
    this.#types = knownTypes(schemas, options.definitions ?? {})
  }

  write(event: NewEvent, stream: string): NewEvent | Promise<NewEvent> {
    const { type } = event
    const where = `for stream ${stream}`
    const known = this.#find(type, where)
    if (!known) return event
    const schemaVersion = event.schemaVersion ?? known.newest
    const taken = (data: unknown): NewEvent => ({ ...event, schemaVersion, data })
    return check(known, { stream, type, schemaVersion, data: event.data }, where, taken)
  }

  read(event: RecordedEvent): RecordedEvent | Promise<RecordedEvent> {
    if (!this.checkReads) return event
    const where = `at position ${event.position}, ${event.stream}@${event.revision},`
    const known = this.#find(event.type, where)
    if (!known) return event
    return check(known, event, where, (data) => ({ ...event, data }))
  }

  newestVersion(type: string): number | undefined {
    return this.#types.get(type)?.newest
  }

  #find(type: string, where: string): KnownType | undefined {
    checkName(type, 'the type of an event')
    const known = this.#types.get(type)
    if (known || this.#allowUnknown) return known
    const near = suggest(type, this.#types.keys())
    throw eventError(
      'BANYAN_UNKNOWN_EVENT_TYPE',
      `${type} ${where} is not a type of the registry${near ? `, did you mean ${near}?` : ''}`,
    )
  }
}

function check<Event>(
  known: KnownType,
  event: { stream: string; type: string; schemaVersion: number; data?: unknown },
  where: string,
  taken: (data: unknown) => Event,
): Event | Promise<Event> {
  const { type, schemaVersion } = event
  const validate = known.versions.get(schemaVersion)
  if (!validate)
    throw eventError(
      'BANYAN_INVALID_EVENT',
      `${type} ${where} has the schemaVersion ${schemaVersion}; its schemas are of ${[...known.versions.keys()].join(', ')}`,
    )
  const end = (verdict: Verdict): Event => {
    if ('problems' in verdict) throw new InvalidEventError(event, where, verdict.problems)
    return taken(verdict.value)
  }
  const verdict = validate(event.data, type)
  return verdict instanceof Promise ? verdict.then(end) : end(verdict)
}

function knownTypes(
  schemas: EventSchemas,
  definitions: Readonly<Record<string, JsonSchema>>,
): Map<string, KnownType> {
  const jsonSchemas = new JsonSchemas()
  for (const [key, schema] of Object.entries(definitions)) jsonSchemas.add(key, schema)
  const types = Object.entries(schemas).map(([type, schema]) => ({
    type,
    versions: versionsOf(type, schema),
  }))
  for (const { type, versions } of types)
    for (const [version, schema] of versions)
      if (!isStandardSchema(schema)) jsonSchemas.add(schemaKey(type, version), schema)

  return new Map(
    types.map(({ type, versions }) => {
      const validators = versions.map(([version, schema]): [number, Validator] => [
        version,
        isStandardSchema(schema)
          ? standardValidator(schema)
          : jsonSchemas.validator(schemaKey(type, version)),
      ])
      const newest = Math.max(...versions.map(([version]) => version))
      return [type, { versions: new Map(validators), newest }]
    }),
  )
}

/** What other schemas call the JSON Schema of a type: the name of its file, if it comes from one. */
function schemaKey(type: string, version: number): string {
  return `${encodeURIComponent(type)}${version === 1 ? '' : `.v${version}`}.schema.json`
}

function versionsOf(
  type: string,
  schema: EventSchema | VersionedSchemas,
): [number, StandardSchema | JsonSchema][] {
  if (!isSchema(schema))
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `eventTypes: the schema of ${type} must be a Standard Schema, a JSON Schema, or several by version, got ${JSON.stringify(schema)}`,
    )
  if (isStandardSchema(schema)) return [[1, schema]]
  const entries = Object.entries(schema)
  if (entries.length === 0 || !entries.every(([key]) => /^[1-9]\d{0,8}$/.test(key))) return [[1, schema]]
  return entries.map(([key, version]) => {
    if (isSchema(version)) return [Number(key), version]
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `eventTypes: version ${key} of ${type} must be a Standard Schema or a JSON Schema, got ${JSON.stringify(version)}`,
    )
  })
}

function isSchema(value: unknown): value is StandardSchema | JsonSchema {
  return isStandardSchema(value) || (typeof value === 'object' && value !== null && !Array.isArray(value))
}

function standardValidator(schema: StandardSchema): Validator {
  const { validate } = schema['~standard']
  const verdictOf = (result: Awaited<ReturnType<typeof validate>>): Verdict =>
    result.issues ? { problems: result.issues.map(problemOf) } : { value: result.value }
  return (data) => {
    const result = validate(data)
    return result instanceof Promise ? result.then(verdictOf) : verdictOf(result)
  }
}

function problemOf(issue: StandardIssue): EventProblem {
  return { path: pathOf(issue), message: issue.message }
}
