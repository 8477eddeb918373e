import { BanyanError } from '../../core/errors.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import { isStandardSchema, type StandardSchema } from '../../core/standard-schema.js'
import { MAX_KEY_BYTES } from '../keys.js'
import { KEYSPACE } from '../keyspace.js'
import { compileJsonPath } from './json-path.js'
import { labelMistake, LONGEST_LABEL, LONGEST_SUBDOMAIN, subdomainMistake } from './names.js'
import { compileSchema, type CompiledSchema } from './schema/compile.js'
import type { ResourceSchema } from './schema/content.js'
import { ANYTHING_IN_IT, type StandardParts } from './schema/standard.js'

/** What {@link defineResource} takes. */
export interface ResourceDefinitionOptions<Spec = unknown, Status = unknown> {
  /** Whose kind it is: a domain, `shop.example`. */
  group: string
  /** Default `'v1'`. */
  version?: string
  /** In the singular, and with a capital: `Promotion`. */
  kind: string
  /** Its name in paths and keys. Default: the kind in lower case and an `s`. */
  plural?: string
  /** Whether its resources are in namespaces; default `'Namespaced'`. */
  scope?: ResourceScope
  /** Names for those who type. Default none. */
  shortNames?: readonly string[]
  /** Groups of kinds that it is listed with, such as `all`. Default none. */
  categories?: readonly string[]
  /** What a spec must be like. Default: anything. */
  spec?: ResourceSchema | StandardSchema<Spec, unknown>
  /** What a status must be like. Without it resources have none. */
  status?: ResourceSchema | StandardSchema<Status, unknown>
  /** Text, numbers and booleans that lists can be selected by: `['spec.customer']`. Default none. */
  selectableFields?: readonly string[]
  /** What tables of its resources show, between the name and the age. Default nothing. */
  printerColumns?: readonly PrinterColumn[]
  /** Where it says how many of something it wants and has, for tools that scale any kind. Default: it cannot be scaled. */
  scale?: ScalePaths
}

/** A column of a table of resources. */
export interface PrinterColumn {
  readonly name: string
  /** What is in it; a `date` is shown as how long ago that is. */
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date'
  /** What of a resource: `.status.conditions[?(@.type=="Ready")].status`. */
  readonly jsonPath: string
  /** Above 0: only in wide tables. Default 0. */
  readonly priority?: number
  readonly description?: string
  /** What is said of the type besides, as in OpenAPI: `int32`, `date-time`. */
  readonly format?: string
}

/** See {@link ResourceDefinitionOptions.scale}. Paths of names, without lists: `.spec.replicas`. */
export interface ScalePaths {
  /** Below `.spec`: a whole number, how many are wanted. */
  readonly specReplicasPath: string
  /** Below `.status`: a whole number, how many there are; 0 if it is not there. */
  readonly statusReplicasPath: string
  /** Below `.spec` or `.status`: text, the selector of labels that finds them. */
  readonly labelSelectorPath?: string
}

/** Where the resources of a kind are. */
export type ResourceScope = 'Namespaced' | 'Cluster'

/** A kind of resources. */
export interface ResourceDefinition<Spec = unknown, Status = unknown> {
  readonly group: string
  readonly version: string
  readonly kind: string
  readonly plural: string
  readonly scope: ResourceScope
  readonly shortNames: readonly string[]
  readonly categories: readonly string[]
  /** `GROUP/VERSION`. */
  readonly apiVersion: string
  /** A JSON Schema, also if it was defined by another: `x-kubernetes-preserve-unknown-fields` then. */
  readonly spec: ResourceSchema
  readonly status: ResourceSchema | undefined
  readonly selectableFields: readonly string[]
  readonly printerColumns: readonly PrinterColumn[]
  readonly scale: ScalePaths | undefined
  readonly schema: CompiledSchema
  /** Only for types; never there. */
  readonly types?: { readonly spec: Spec; readonly status: Status }
}

const text = { kind: 'string', doc: 'A name.' } as const
const names = { kind: 'list', of: text, doc: 'Names.' } as const
const schema = {
  kind: 'either',
  of: [
    { kind: 'code', type: 'object', doc: 'a JSON Schema, or a Standard Schema' },
    { kind: 'code', type: 'function', doc: 'a Standard Schema' },
  ],
  doc: 'A JSON Schema, or a Standard Schema.',
} as const
const COLUMN: OptionTable<PrinterColumn> = {
  name: text,
  type: {
    kind: 'choice',
    values: ['string', 'integer', 'number', 'boolean', 'date'],
    doc: 'What is in it.',
  },
  jsonPath: { kind: 'string', doc: 'What of a resource.' },
  priority: { kind: 'number', min: 0, integer: true, doc: 'Above 0: only in wide tables.' },
  description: { kind: 'string', doc: 'What it says.' },
  format: { kind: 'string', doc: 'What is said of the type besides.' },
}
const path = { kind: 'string', doc: 'A path such as .spec.replicas.' } as const
const SCALE: OptionTable<ScalePaths> = {
  specReplicasPath: path,
  statusReplicasPath: path,
  labelSelectorPath: path,
}

const OPTIONS: OptionTable<ResourceDefinitionOptions> = {
  group: text,
  version: text,
  kind: text,
  plural: text,
  scope: {
    kind: 'choice',
    values: ['Namespaced', 'Cluster'],
    doc: 'Whether its resources are in namespaces.',
  },
  shortNames: names,
  categories: names,
  spec: schema,
  status: schema,
  selectableFields: names,
  printerColumns: {
    kind: 'list',
    of: { kind: 'group', options: COLUMN, doc: 'A column.' },
    doc: 'What tables of its resources show.',
  },
  scale: { kind: 'group', options: SCALE, doc: 'Where it says how many it wants and has.' },
}
const VERSION = /^v[1-9]\d*((alpha|beta)[1-9]\d*)?$/
const KIND = /^[A-Z][A-Za-z0-9]{0,62}$/

/**
 * Defines a kind of resources.
 *
 * Schemas are JSON Schemas of draft 2020-12. As in Kubernetes, an object that lists `properties` has no others, unless it says
 * `additionalProperties` or `x-kubernetes-preserve-unknown-fields`; `default` is filled in; and `x-kubernetes-validations` are rules
 * in the Common Expression Language over `self`, and `oldSelf` for those that compare with what was there.
 *
 * A Standard Schema, as those of zod, valibot and arktype, checks, and gives the types; what it would make of a value is not taken,
 * and nobody can look into it: such a part is any object for OpenAPI, and nothing in it is unknown.
 *
 * @throws `BANYAN_INVALID_OPTIONS` that names everything that is wrong, in schemas and rules too
 */
export function defineResource<Spec = unknown, Status = unknown>(
  options: ResourceDefinitionOptions<Spec, Status>,
): ResourceDefinition<Spec, Status> {
  checkOptions('defineResource', OPTIONS, options)
  const { group, version = 'v1', kind, scope = 'Namespaced', selectableFields = [] } = options
  const { printerColumns = [], scale } = options
  const plural = options.plural ?? `${kind}s`.toLowerCase()
  const problems = [
    ...problem('group', subdomainMistake(group)),
    ...problem('version', VERSION.test(version) ? undefined : 'must be like v1, v1beta1 or v2alpha1'),
    ...problem(
      'kind',
      KIND.test(kind) ? undefined : 'must begin with a capital: letters and digits, at most 63',
    ),
    ...problem('plural', labelMistake(plural)),
    ...(options.shortNames ?? []).flatMap((name) => problem('shortNames', labelMistake(name))),
    ...selectableFields.flatMap((path) =>
      problem(
        'selectableFields',
        /^(spec|status)(\.\w+)+$/.test(path) ? undefined : `${path} is no path such as spec.name`,
      ),
    ),
    ...printerColumns.flatMap(columnProblems),
    ...(scale ? scaleProblems(scale, options.status !== undefined) : []),
  ]
  const longest = `${KEYSPACE.resources}${group}/${plural}/`.length + LONGEST_LABEL + 1 + LONGEST_SUBDOMAIN
  if (longest > MAX_KEY_BYTES)
    problems.push(`group and plural are ${longest - MAX_KEY_BYTES} characters too long together to be kept`)
  if (problems.length > 0)
    throw new BanyanError('BANYAN_INVALID_OPTIONS', `defineResource ${kind}: ${problems.join('; ')}`)
  const spec = jsonSchemaOf(options.spec ?? {})
  const status = options.status && jsonSchemaOf(options.status)
  const standard = { ...standardOf('spec', options.spec), ...standardOf('status', options.status) }
  return {
    group,
    version,
    kind,
    plural,
    scope,
    shortNames: options.shortNames ?? [],
    categories: options.categories ?? [],
    apiVersion: `${group}/${version}`,
    spec,
    status,
    selectableFields,
    printerColumns,
    scale,
    schema: compileSchema(`defineResource ${kind}`, { spec, ...(status && { status }) }, standard),
  }
}

type AnySchema = ResourceSchema | StandardSchema<unknown, unknown>

function jsonSchemaOf(schema: AnySchema): ResourceSchema {
  return isStandardSchema(schema) ? ANYTHING_IN_IT : schema
}

function standardOf(part: 'spec' | 'status', schema: AnySchema | undefined): StandardParts {
  return isStandardSchema(schema) ? { [part]: schema } : {}
}

function columnProblems({ name, jsonPath }: PrinterColumn): string[] {
  try {
    compileJsonPath(jsonPath)
    return []
  } catch (error) {
    return [`printerColumns: ${name}: ${(error as Error).message}`]
  }
}

function scaleProblems(
  { specReplicasPath, statusReplicasPath, labelSelectorPath = '.status.selector' }: ScalePaths,
  hasStatus: boolean,
): string[] {
  const below = (name: keyof ScalePaths, path: string, parts: string): string[] =>
    problem(
      `scale.${name}`,
      new RegExp(`^\\.(${parts})(\\.[A-Za-z_][\\w-]*)+$`).test(path)
        ? undefined
        : `${path} is no path of names below .${parts.replace('|', ' or .')}`,
    )
  return [
    ...(hasStatus ? [] : ['scale: only of kinds with a status']),
    ...below('specReplicasPath', specReplicasPath, 'spec'),
    ...below('statusReplicasPath', statusReplicasPath, 'status'),
    ...below('labelSelectorPath', labelSelectorPath, 'spec|status'),
  ]
}

function problem(option: string, mistake: string | undefined): string[] {
  return mistake === undefined ? [] : [`${option}: ${mistake}`]
}

/** `promotions.shop.example`. */
export function qualifiedPlural({ plural, group }: ResourceDefinition): string {
  return `${plural}.${group}`
}
