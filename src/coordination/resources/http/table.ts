import type { PrinterColumn, ResourceDefinition } from '../define.js'
import { compileJsonPath, type JsonPath } from '../json-path.js'
import type { ListMetadata, Resource, ResourceList, ResourceMetadata } from '../object.js'
import { ageOf } from './age.js'

/** What of each resource goes along with its row. */
export type IncludeObject = 'None' | 'Metadata' | 'Object'

/** How {@link tableOf} writes a table. */
export interface TableOptions {
  /** Default `'Metadata'`. */
  includeObject?: IncludeObject
  /** What ages are told from; ms since 1970. */
  now: number
}

/** Resources as those want them who show them: `Table` of `meta.k8s.io/v1`. */
export interface Table {
  readonly apiVersion: 'meta.k8s.io/v1'
  readonly kind: 'Table'
  readonly metadata: Partial<ListMetadata>
  readonly columnDefinitions: readonly TableColumn[]
  readonly rows: readonly TableRow[]
}

/** A column of a {@link Table}. */
export interface TableColumn {
  readonly name: string
  readonly type: string
  readonly format: string
  readonly description: string
  /** What is not 0 is shown only to those who ask for more. */
  readonly priority: number
}

/** A resource in a {@link Table}. */
export interface TableRow {
  /** One for each column; null where nothing is known. */
  readonly cells: readonly (string | number | boolean | null)[]
  readonly object?: Resource | PartialObjectMetadata
}

/** Who a resource is, without what is in it. */
export interface PartialObjectMetadata {
  readonly apiVersion: 'meta.k8s.io/v1'
  readonly kind: 'PartialObjectMetadata'
  readonly metadata: ResourceMetadata
}

interface Column {
  readonly definition: TableColumn
  readonly cell: (item: Resource, now: number) => string | number | boolean | null
}

const NAME: Column = {
  definition: {
    name: 'Name',
    type: 'string',
    format: 'name',
    description: 'Name of the resource: no other of its kind has it in the same namespace.',
    priority: 0,
  },
  cell: (item) => item.metadata.name,
}
const AGE: PrinterColumn = {
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
  description: 'How long ago the resource was made.',
}

const known = new WeakMap<ResourceDefinition, readonly Column[]>()

/**
 * A table of resources: their names, the columns of their kind, and their ages, unless the kind has such a column itself.
 *
 * @param what - one, or a list of them
 */
export function tableOf(
  definition: ResourceDefinition,
  what: Resource | ResourceList,
  { includeObject = 'Metadata', now }: TableOptions,
): Table {
  const columns = columnsOf(definition)
  const isList = 'items' in what
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: isList ? what.metadata : { resourceVersion: what.metadata.resourceVersion },
    columnDefinitions: columns.map((column) => column.definition),
    rows: (isList ? what.items : [what]).map((item) => ({
      cells: columns.map(({ cell }) => cell(item, now)),
      ...included(item, includeObject),
    })),
  }
}

function included(item: Resource, include: IncludeObject): Pick<TableRow, 'object'> {
  if (include === 'None') return {}
  return { object: include === 'Object' ? item : partialObjectMetadata(item) }
}

/** Who a resource is, without what is in it. */
export function partialObjectMetadata({ metadata }: Resource): PartialObjectMetadata {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata }
}

function columnsOf(definition: ResourceDefinition): readonly Column[] {
  let columns = known.get(definition)
  if (!columns) {
    const own = definition.printerColumns
    const hasAge = own.some(({ name }) => name.toLowerCase() === 'age')
    columns = [NAME, ...(hasAge ? own : [...own, AGE]).map(columnOf)]
    known.set(definition, columns)
  }
  return columns
}

function columnOf({ name, type, jsonPath, priority = 0, description, format = '' }: PrinterColumn): Column {
  const path = compileJsonPath(jsonPath)
  return {
    definition: { name, type, format, description: description ?? `At ${jsonPath}.`, priority },
    cell: (item, now) => cellOf(type, path, item, now),
  }
}

/** The first that is found; null if it is not of the type of the column. */
function cellOf(
  type: PrinterColumn['type'],
  path: JsonPath,
  item: Resource,
  now: number,
): string | number | boolean | null {
  const value = path(item)[0] ?? null
  switch (type) {
    case 'string':
      return value === null ? null : typeof value === 'string' ? value : JSON.stringify(value)
    case 'integer':
      return typeof value === 'number' ? Math.trunc(value) : null
    case 'number':
      return typeof value === 'number' ? value : null
    case 'boolean':
      return typeof value === 'boolean' ? value : null
    case 'date':
      return typeof value === 'string' ? ageOf(value, now) : null
  }
}
