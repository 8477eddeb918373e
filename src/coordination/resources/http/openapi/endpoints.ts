import type { ResourceDefinition } from '../../define.js'
import { META_NAMES } from './meta-schemas.js'

/** A path, and what can be done there. */
export interface Endpoint {
  readonly path: string
  readonly parameters: readonly Parameter[]
  readonly operations: readonly Operation[]
}

/** Something that can be done with a kind. */
export interface Operation {
  readonly method: 'get' | 'post' | 'put' | 'patch' | 'delete'
  /** In the words of `x-kubernetes-action`. */
  readonly action: 'list' | 'get' | 'post' | 'put' | 'patch' | 'delete' | 'deletecollection'
  readonly id: string
  readonly description: string
  readonly kind: GroupVersionKind
  readonly parameters: readonly Parameter[]
  readonly body?: { readonly schema: string; readonly types: readonly string[]; readonly required: boolean }
  /** Name of the schema of what is answered. */
  readonly answer: string
  readonly created: boolean
}

/** A kind as documents name it. */
export interface GroupVersionKind {
  readonly group: string
  readonly version: string
  readonly kind: string
}

/** Something that can be said in a path or in a query. */
export interface Parameter {
  readonly name: string
  readonly in: 'path' | 'query'
  readonly type: 'string' | 'integer' | 'boolean'
  readonly description: string
}

const query = (name: string, type: Parameter['type'], description: string): Parameter => ({
  name,
  in: 'query',
  type,
  description,
})
const inPath = (name: string, description: string): Parameter => ({
  name,
  in: 'path',
  type: 'string',
  description,
})

const PRETTY = query('pretty', 'string', 'Whether the answer is indented.')
const NAMESPACE = inPath('namespace', 'Where the object is.')
const VERSIONS = [
  query('resourceVersion', 'string', 'How new what is answered has to be.'),
  query('resourceVersionMatch', 'string', 'How resourceVersion is meant: NotOlderThan or Exact.'),
]
const SELECTION = [
  query('fieldSelector', 'string', 'Only those whose fields are so.'),
  query('labelSelector', 'string', 'Only those whose labels are so.'),
]
const LIST = [
  query('allowWatchBookmarks', 'boolean', 'Whether to be told from time to time how far was told.'),
  query('continue', 'string', 'What the list before this one said.'),
  ...SELECTION,
  query('limit', 'integer', 'At most this many.'),
  ...VERSIONS,
  query('sendInitialEvents', 'boolean', 'Whether a watch begins with what there is.'),
  query('timeoutSeconds', 'integer', 'Seconds after which a watch ends.'),
  query('watch', 'boolean', 'Whether to be told what happens, and not what there is.'),
]
const DRY_RUN = query('dryRun', 'string', 'All: say what would come of it, but do not do it.')
const WRITE = [
  DRY_RUN,
  query('fieldManager', 'string', 'Who manages the fields from now on.'),
  query(
    'fieldValidation',
    'string',
    'What becomes of fields that the kind does not have: Ignore, Warn or Strict.',
  ),
]
const FORCE = query('force', 'boolean', 'Whether to take fields away from others. For apply only.')
const DELETE = [
  DRY_RUN,
  query('gracePeriodSeconds', 'integer', 'Seconds that the object is given to go.'),
  query('orphanDependents', 'boolean', 'In place of propagationPolicy.'),
  query(
    'propagationPolicy',
    'string',
    'What becomes of those that belong to it: Orphan, Background or Foreground.',
  ),
]

const JSON_TYPES = ['application/json', 'application/yaml']
const PATCH_TYPES = [
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/apply-patch+yaml',
]

/** `example.shop.v1.Promotion`: the name of the schema of a kind. */
export function schemaName({ group, version, kind }: GroupVersionKind): string {
  return [...group.split('.').toReversed(), version, kind].join('.')
}

/** Where a kind is found, and what can be done with it there. */
export function endpointsOf(definition: ResourceDefinition): Endpoint[] {
  const { group, version, kind, plural, scope } = definition
  const isNamespaced = scope === 'Namespaced'
  const base = `/apis/${group}/${version}`
  const collection = isNamespaced ? `${base}/namespaces/{namespace}/${plural}` : `${base}/${plural}`
  const object = `${collection}/{name}`
  const place = [...(isNamespaced ? [NAMESPACE] : []), PRETTY]
  const named = [inPath('name', `The name of the ${kind}.`), ...place]
  const made = new Maker(definition)
  const listed = { path: collection, parameters: place, operations: made.collection() }
  const all = {
    path: `${base}/${plural}`,
    parameters: [PRETTY],
    operations: [made.list('ForAllNamespaces')],
  }
  return [
    ...(isNamespaced ? [listed, all] : [listed]),
    { path: object, parameters: named, operations: [...made.object(''), made.remove()] },
    ...(definition.status
      ? [{ path: `${object}/status`, parameters: named, operations: made.object('Status') }]
      : []),
    ...(definition.scale
      ? [{ path: `${object}/scale`, parameters: named, operations: made.object('Scale') }]
      : []),
  ]
}

/** Makes the operations of a kind. */
class Maker {
  readonly #kind: GroupVersionKind
  readonly #prefix: string
  readonly #schema: string

  constructor({ group, version, kind, scope }: ResourceDefinition) {
    this.#kind = { group, version, kind }
    this.#schema = schemaName(this.#kind)
    const place = scope === 'Namespaced' ? 'Namespaced' : ''
    this.#prefix = `${[...group.split('.'), version].map(capital).join('')}${place}${kind}`
  }

  collection(): Operation[] {
    return [
      this.list(''),
      {
        ...this.#operation('post', 'post', 'create', 'Makes one.'),
        parameters: WRITE,
        body: { schema: this.#schema, types: JSON_TYPES, required: true },
        created: true,
      },
      {
        ...this.#operation(
          'delete',
          'deletecollection',
          'deleteCollection',
          'Deletes all that are selected.',
        ),
        parameters: [...SELECTION, ...DELETE],
        body: { schema: META_NAMES.deleteOptions, types: JSON_TYPES, required: false },
        answer: META_NAMES.status,
      },
    ]
  }

  list(suffix: '' | 'ForAllNamespaces'): Operation {
    return {
      ...this.#operation('get', 'list', 'list', 'Lists or watches them.', suffix),
      parameters: LIST,
      answer: `${this.#schema}List`,
    }
  }

  object(part: '' | 'Status' | 'Scale'): Operation[] {
    const kind = part === 'Scale' ? { group: 'autoscaling', version: 'v1', kind: 'Scale' } : this.#kind
    const schema = part === 'Scale' ? META_NAMES.scale : this.#schema
    const what = part === '' ? 'it' : `its ${part.toLowerCase()}`
    const common = { kind, answer: schema }
    return [
      {
        ...this.#operation('get', 'get', 'read', `Reads ${what}.`, part),
        ...common,
        parameters: VERSIONS.slice(0, 1),
      },
      {
        ...this.#operation('put', 'put', 'replace', `Replaces ${what}.`, part),
        ...common,
        parameters: WRITE,
        body: { schema, types: JSON_TYPES, required: true },
        created: true,
      },
      {
        ...this.#operation('patch', 'patch', 'patch', `Changes ${what}.`, part),
        ...common,
        parameters: [...WRITE, FORCE],
        body: { schema: META_NAMES.patch, types: PATCH_TYPES, required: true },
        created: true,
      },
    ]
  }

  remove(): Operation {
    return {
      ...this.#operation('delete', 'delete', 'delete', 'Deletes it.'),
      parameters: DELETE,
      body: { schema: META_NAMES.deleteOptions, types: JSON_TYPES, required: false },
      answer: META_NAMES.status,
    }
  }

  #operation(
    method: Operation['method'],
    action: Operation['action'],
    verb: string,
    description: string,
    suffix = '',
  ): Operation {
    return {
      ...{ method, action, description, id: `${verb}${this.#prefix}${suffix}` },
      ...{ kind: this.#kind, parameters: [], answer: this.#schema, created: false },
    }
  }
}

function capital(word: string): string {
  return `${word.charAt(0).toUpperCase()}${word.slice(1)}`
}
