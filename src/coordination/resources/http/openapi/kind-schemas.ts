import type { ResourceDefinition } from '../../define.js'
import { structuralSchema } from '../../schema/structural.js'
import { schemaName } from './endpoints.js'
import { META_NAMES, reference, referring, TYPE_META, type Schemas } from './meta-schemas.js'

/** The schemas of a kind, and of lists of it. */
export function kindSchemas(definition: ResourceDefinition): Schemas {
  const { group, version, kind, spec, status } = definition
  const name = schemaName(definition)
  const root = { properties: { spec, status } }
  const description = typeof spec['description'] === 'string' ? spec['description'] : `A ${kind}.`
  const isFree = Object.keys(spec).length === 0
  return {
    [name]: {
      type: 'object',
      description,
      ...(isFree ? {} : { required: ['spec'] }),
      properties: {
        ...TYPE_META,
        metadata: referring(META_NAMES.objectMeta, 'Who the object is.'),
        spec: { description: 'What is wanted.', ...structuralSchema(spec, root) },
        ...(status && { status: { description: 'What is known of it.', ...structuralSchema(status, root) } }),
      },
      'x-kubernetes-group-version-kind': [{ group, version, kind }],
    },
    [`${name}List`]: {
      type: 'object',
      description: `Some of the kind ${kind}.`,
      required: ['items'],
      properties: {
        ...TYPE_META,
        metadata: referring(META_NAMES.listMeta, 'Of the list.'),
        items: { type: 'array', description: 'The objects.', items: reference(name) },
      },
      'x-kubernetes-group-version-kind': [{ group, version, kind: `${kind}List` }],
    },
  }
}
