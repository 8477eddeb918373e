import { checkOptions, type OptionTable } from '../../core/options.js'
import { Registry, type EventSchemas, type EventTypes, type EventTypesOptions } from './registry.js'

const OPTIONS: OptionTable<EventTypesOptions> = {
  unknown: { kind: 'choice', values: ['refuse', 'allow'], doc: 'what becomes of other types' },
  checkReads: { kind: 'boolean', doc: 'whether what is read is checked too' },
  definitions: { kind: 'code', type: 'object', doc: 'JSON Schemas that others refer to' },
}

/**
 * A registry of event types, for `openLog(where, { transforms: [types] })`: what is appended has a type that is known
 * and data that its schema takes, or the whole commit is refused.
 *
 * A schema is a JSON Schema of draft 2020-12, or a Standard Schema as those of zod, valibot and arktype, whose output is
 * what is appended. A type may have several by version; the newest is taken for events that say no `schemaVersion`. A
 * type with one schema is at version 1.
 *
 * @throws `BANYAN_INVALID_OPTIONS` for what is not a schema, or a JSON Schema with unknown keywords or formats. What it
 *   refuses: `BANYAN_UNKNOWN_EVENT_TYPE`; {@link InvalidEventError} `BANYAN_INVALID_EVENT` with every problem
 */
export function eventTypes<const Schemas extends EventSchemas, const Checked extends boolean = false>(
  schemas: Schemas,
  options: EventTypesOptions<Checked> = {},
): EventTypes<Schemas, Checked> {
  checkOptions<EventTypesOptions>('eventTypes', OPTIONS, options)
  return new Registry(schemas, options)
}

export { loadEventTypes } from './directory.js'
export { InvalidEventError, type EventProblem } from './invalid-event.js'
export type { JsonSchema } from './json-schema.js'
export type {
  EventSchema,
  EventSchemas,
  EventTypes,
  EventTypesOptions,
  VersionedSchemas,
} from './registry.js'
export type { EventsOf, NewEventsOf } from './shapes.js'
export type { StandardSchema } from '../../core/standard-schema.js'
