import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BanyanError } from '../../core/errors.js'
import type { JsonSchema } from './json-schema.js'
import { Registry, type EventTypes, type EventTypesOptions } from './registry.js'

const TYPE_FILE = /^(?<name>.+?)(?:\.v(?<version>[1-9]\d{0,8}))?\.schema\.json$/

/**
 * A registry of the JSON Schemas in a directory: `OrderPlaced.schema.json` is the type `OrderPlaced`,
 * `OrderPlaced.v2.schema.json` its version 2. A type with characters that no file name has is percent-encoded. Other
 * files that end in `.json` are what schemas refer to: `{ "$ref": "Address.json" }`. What does not end so is passed over.
 *
 * @param directory - its path; directories in it are not looked at
 * @throws `BANYAN_INVALID_OPTIONS` if it cannot be read, holds no type, or a file is not a JSON Schema
 */
export async function loadEventTypes<const Checked extends boolean = false>(
  directory: string,
  options: Omit<EventTypesOptions<Checked>, 'definitions'> = {},
): Promise<EventTypes<Record<string, Record<number, JsonSchema>>, Checked>> {
  const schemas: Record<string, Record<number, JsonSchema>> = Object.create(null) as typeof schemas
  const definitions: Record<string, JsonSchema> = {}
  for (const file of await filesOf(directory)) {
    const schema = await readSchema(join(directory, file))
    const match = TYPE_FILE.exec(file)
    if (!match) {
      definitions[file] = schema
      continue
    }
    const { name, version = '1' } = match.groups as { name: string; version?: string }
    const versions = (schemas[typeOf(directory, file, name)] ??= {})
    if (Object.hasOwn(versions, version))
      throw invalid(`${join(directory, file)} is a version that is there twice`)
    versions[Number(version)] = schema
  }
  if (Object.keys(schemas).length === 0)
    throw invalid(`${directory} has no file such as OrderPlaced.schema.json`)
  return new Registry(schemas, { ...options, definitions })
}

function typeOf(directory: string, file: string, name: string): string {
  try {
    return decodeURIComponent(name)
  } catch (error) {
    throw invalid(`${join(directory, file)} is not percent-encoded as it should be`, error)
  }
}

async function filesOf(directory: string): Promise<string[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true })
    return entries
      .filter((entry) => !entry.isDirectory() && entry.name.endsWith('.json'))
      .map(({ name }) => name)
      .sort()
  } catch (error) {
    throw invalid(`the directory of event types ${directory} cannot be read`, error)
  }
}

async function readSchema(path: string): Promise<JsonSchema> {
  let value: unknown
  try {
    value = JSON.parse(await readFile(path, 'utf8'))
  } catch (error) {
    throw invalid(`${path} is not JSON that can be read: ${String(error)}`, error)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid(`${path} must be a JSON Schema as an object`)
  return value as JsonSchema
}

function invalid(message: string, cause?: unknown): BanyanError {
  return new BanyanError('BANYAN_INVALID_OPTIONS', message, cause === undefined ? {} : { cause })
}
