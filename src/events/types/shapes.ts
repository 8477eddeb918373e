import type { NewEvent } from '../log.js'
import type { EventTypes } from './registry.js'

/**
 * What is read of the types of a registry, for `log.read<EventsOf<typeof types>>()`: a union of `{ type, data }`. Data is
 * what JSON gives back: a `Date` is a string, unless reads are checked, which gives the output of the schema. Of a type
 * with several versions, any. Data under a JSON Schema is `unknown`.
 */
export type EventsOf<Types> =
  Types extends EventTypes<infer Schemas, infer Checked>
    ? {
        [Type in keyof Schemas & string]: {
          readonly type: Type
          readonly data: Read<OutputOf<AnyOf<VersionsOf<Schemas[Type]>>>, Checked>
        }
      }[keyof Schemas & string]
    : never

/**
 * What may be appended of the types of a registry: `const events: NewEventsOf<typeof types>[] = [...]`. A version that
 * is not the newest has to be told.
 */
export type NewEventsOf<Types> =
  Types extends EventTypes<infer Schemas>
    ? {
        [Type in keyof Schemas & string]: NewEventOf<Type, VersionsOf<Schemas[Type]>>
      }[keyof Schemas & string]
    : never

type NewEventOf<Type, Versions> = {
  [Version in keyof Versions & number]: Omit<NewEvent, 'type' | 'data' | 'schemaVersion'> & {
    type: Type
  } & DataOf<InputOf<Versions[Version]>> &
    (Version extends Newest<keyof Versions & number>
      ? { schemaVersion?: Version }
      : { schemaVersion: Version })
}[keyof Versions & number]

type DataOf<Data> = undefined extends Data ? { data?: Data } : { data: Data }

/** The schemas of a type by version. */
type VersionsOf<Schema> = Schema extends { readonly '~standard': unknown }
  ? { 1: Schema }
  : [keyof Schema] extends [never]
    ? { 1: Schema }
    : keyof Schema extends number
      ? Schema
      : { 1: Schema }

type AnyOf<Versions> = Versions[keyof Versions]

interface Typed {
  readonly '~standard': { readonly types?: { readonly input: unknown; readonly output: unknown } | undefined }
}

type InputOf<Schema> = Schema extends Typed ? NonNullable<Schema['~standard']['types']>['input'] : unknown
type OutputOf<Schema> = Schema extends Typed ? NonNullable<Schema['~standard']['types']>['output'] : unknown

type Read<Data, Checked> = Checked extends true ? Data : JsonOf<Data>

/** What JSON makes of a value. */
type JsonOf<Value> = Value extends { toJSON(): infer Text }
  ? Text
  : Value extends Uint8Array
    ? Value
    : Value extends object
      ? { [Name in keyof Value]: JsonOf<Value[Name]> }
      : Value

/** The largest of some numbers: counts up and takes away what was reached. */
type Newest<Versions extends number, Counted extends readonly unknown[] = []> = [
  Exclude<Versions, Counted['length']>,
] extends [never]
  ? Counted['length']
  : Newest<Exclude<Versions, Counted['length']>, readonly [...Counted, unknown]>
