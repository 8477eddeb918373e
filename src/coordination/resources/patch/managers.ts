import type { Clock } from '../../../core/clock.js'
import { timestamp } from '../timestamp.js'
import { FieldSet } from './field-set.js'
import { fromFieldsV1, toFieldsV1 } from './fields-v1.js'
import { isList, isObject, member, withMember, type Json, type JsonObject } from './json.js'
import { field } from './path-element.js'

/** Who writes. */
export interface FieldWriter {
  /** The name of the manager: of a person's tool, or of a controller. */
  readonly manager: string
  /** The version of the API in which the object is written, as `GROUP/VERSION`. */
  readonly apiVersion: string
  /** The subresource that is written; default: the object itself. */
  readonly subresource?: string
}

/** Fields, and who has written them in which way. */
export interface Managed extends FieldWriter {
  /** `Apply` has an opinion about these fields; `Update` has only written them last. */
  readonly operation: 'Apply' | 'Update'
  /** When the manager took or gave up fields for the last time: RFC 3339, in seconds. */
  readonly time?: string
  readonly fields: FieldSet
}

/** As many entries of updates as there may be: those of every version of a tool with a version in its name add up. */
const MAX_UPDATERS = 10

/** Who has what the oldest updates wrote. */
const OLDEST_UPDATERS = 'ancient-changes'

/** Whether what these two write is kept in one entry: appliers go on as the same in another version of the API. */
export function sameWriter(a: Omit<Managed, 'fields'>, b: Omit<Managed, 'fields'>): boolean {
  return (
    a.manager === b.manager &&
    a.operation === b.operation &&
    (a.subresource ?? '') === (b.subresource ?? '') &&
    (a.operation === 'Apply' || a.apiVersion === b.apiVersion)
  )
}

/** What an object says of who has its fields; nothing if that cannot be read. */
export function managersOf(object: JsonObject | undefined): readonly Managed[] | undefined {
  const managedFields = managedFieldsOf(object)
  if (managedFields === undefined || managedFields === null) return []
  if (!isList(managedFields)) return undefined
  const managed = managedFields.map(readEntry)
  return managed.every((entry) => entry !== undefined) ? managed : undefined
}

function readEntry(entry: Json): Managed | undefined {
  if (!isObject(entry)) return undefined
  const { manager, operation, apiVersion, time, subresource, fieldsV1 = {} } = entry
  if (typeof manager !== 'string' || typeof apiVersion !== 'string') return undefined
  if (operation !== 'Apply' && operation !== 'Update') return undefined
  try {
    return {
      manager,
      operation,
      apiVersion,
      ...(typeof time === 'string' && { time }),
      ...(typeof subresource === 'string' && subresource !== '' && { subresource }),
      fields: fromFieldsV1(fieldsV1),
    }
  } catch {
    return undefined
  }
}

/** The object that says who has its fields: whoever has one, appliers first, then the oldest. */
export function withManagers(object: JsonObject, managed: readonly Managed[]): JsonObject {
  const entries = entriesOf(managed)
  if (entries.length === 0) return withoutManagers(object)
  const metadata = member(object, 'metadata')
  return withMember(
    object,
    'metadata',
    withMember(isObject(metadata) ? metadata : {}, 'managedFields', entries),
  )
}

/** The object itself. */
export function withoutManagers(object: JsonObject): JsonObject {
  const metadata = member(object, 'metadata')
  if (!isObject(metadata) || !Object.hasOwn(metadata, 'managedFields')) return object
  return withMember(object, 'metadata', withMember(metadata, 'managedFields', undefined))
}

function entriesOf(managed: readonly Managed[]): readonly JsonObject[] {
  return withoutOldest(managed.filter(({ fields }) => !fields.empty))
    .toSorted(
      (a, b) =>
        compare(a.operation, b.operation) ||
        compareTimes(a, b) ||
        compare(a.manager, b.manager) ||
        compare(a.apiVersion, b.apiVersion) ||
        compare(a.subresource ?? '', b.subresource ?? ''),
    )
    .map(({ manager, operation, apiVersion, time, subresource, fields }) => ({
      manager,
      operation,
      apiVersion,
      ...(time !== undefined && { time }),
      fieldsType: 'FieldsV1',
      fieldsV1: toFieldsV1(fields),
      ...(subresource !== undefined && { subresource }),
    }))
}

/** Puts the oldest updates of a version together where there are too many. */
function withoutOldest(managed: readonly Managed[]): readonly Managed[] {
  const updaters = managed.filter(({ operation }) => operation === 'Update').toSorted(compareTimes)
  const surplus = updaters.length - MAX_UPDATERS
  if (surplus <= 0) return managed
  const merged = new Map<string, Managed>()
  const oldest = new Set(updaters.slice(0, surplus + 1))
  for (const { apiVersion, time, fields } of oldest)
    merged.set(apiVersion, {
      manager: OLDEST_UPDATERS,
      operation: 'Update',
      apiVersion,
      ...(time !== undefined && { time }),
      fields: fields.union(merged.get(apiVersion)?.fields ?? new FieldSet()),
    })
  return [...managed.filter((entry) => !oldest.has(entry)), ...merged.values()]
}

/** What the server alone decides, or what says which object it is: nobody owns that. */
export const UNOWNED = FieldSet.of(
  [field('apiVersion')],
  [field('kind')],
  [field('metadata')],
  ...[
    'name',
    'namespace',
    'creationTimestamp',
    'selfLink',
    'uid',
    'clusterName',
    'generation',
    'managedFields',
    'resourceVersion',
  ].map((name) => [field('metadata'), field(name)]),
)

/** The same as it stands there, whatever it is. */
export function managedFieldsOf(object: JsonObject | undefined): Json | undefined {
  const metadata = object && member(object, 'metadata')
  return isObject(metadata) ? member(metadata, 'managedFields') : undefined
}

/** The entry of who writes now, before it is known which fields it has. */
export function entryOf(
  { manager, apiVersion, subresource, clock }: FieldWriter & { clock: Pick<Clock, 'wall'> },
  operation: Managed['operation'],
): Omit<Managed, 'fields'> & { time: string } {
  return {
    ...{ manager, operation, apiVersion, time: timestamp(clock.wall()) },
    ...(subresource !== undefined && { subresource }),
  }
}

function compareTimes(a: Managed, b: Managed): number {
  return (Date.parse(a.time ?? '') || 0) - (Date.parse(b.time ?? '') || 0)
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
