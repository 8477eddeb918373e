import { BanyanError } from '../../core/errors.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import { MAX_KEY_BYTES } from '../keys.js'
import { KEYSPACE } from '../keyspace.js'
import { labelMistake, LONGEST_LABEL, LONGEST_SUBDOMAIN, subdomainMistake } from './names.js'
import { compileSchema, type CompiledSchema } from './schema/compile.js'
import type { ResourceSchema } from './schema/content.js'

/** What {@link defineResource} takes. */
export interface ResourceDefinitionOptions {
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
  spec?: ResourceSchema
  /** What a status must be like. Without it resources have none. */
  status?: ResourceSchema
  /** Text, numbers and booleans that lists can be selected by: `['spec.customer']`. Default none. */
  selectableFields?: readonly string[]
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
  readonly spec: ResourceSchema
  readonly status: ResourceSchema | undefined
  readonly selectableFields: readonly string[]
  readonly schema: CompiledSchema
  /** Only for types; never there. */
  readonly types?: { readonly spec: Spec; readonly status: Status }
}

const text = { kind: 'string', doc: 'A name.' } as const
const names = { kind: 'list', of: text, doc: 'Names.' } as const
const schema = { kind: 'code', type: 'object', doc: 'a JSON Schema' } as const

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
 * @throws `BANYAN_INVALID_OPTIONS` that names everything that is wrong, in schemas and rules too
 */
export function defineResource<Spec = unknown, Status = unknown>(
  options: ResourceDefinitionOptions,
): ResourceDefinition<Spec, Status> {
  checkOptions('defineResource', OPTIONS, options)
  const { group, version = 'v1', kind, scope = 'Namespaced', selectableFields = [] } = options
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
  ]
  const longest = `${KEYSPACE.resources}${group}/${plural}/`.length + LONGEST_LABEL + 1 + LONGEST_SUBDOMAIN
  if (longest > MAX_KEY_BYTES)
    problems.push(`group and plural are ${longest - MAX_KEY_BYTES} characters too long together to be kept`)
  if (problems.length > 0)
    throw new BanyanError('BANYAN_INVALID_OPTIONS', `defineResource ${kind}: ${problems.join('; ')}`)
  const spec = options.spec ?? {}
  const { status } = options
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
    schema: compileSchema(`defineResource ${kind}`, { spec, ...(status && { status }) }),
  }
}

function problem(option: string, mistake: string | undefined): string[] {
  return mistake === undefined ? [] : [`${option}: ${mistake}`]
}

/** `promotions.shop.example`. */
export function qualifiedPlural({ plural, group }: ResourceDefinition): string {
  return `${plural}.${group}`
}
