import { qualifiedPlural, type PrinterColumn, type ResourceDefinition } from '../define.js'
import { structuralSchema } from '../schema/structural.js'
import { crdSchema } from './crd-schema.js'

/** What installs a kind in a Kubernetes cluster: an object of `apiextensions.k8s.io/v1`. */
export interface CustomResourceDefinition {
  readonly apiVersion: 'apiextensions.k8s.io/v1'
  readonly kind: 'CustomResourceDefinition'
  readonly metadata: { readonly name: string }
  readonly spec: Readonly<Record<string, unknown>>
}

const AGE: PrinterColumn = { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' }

/**
 * A kind as Kubernetes is told of it, for `kubectl apply -f`: the same names, schemas, rules, columns, fields to select by, and
 * subresources. What Kubernetes cannot say of a value is left out, so that it takes some that would be refused here: `if`,
 * `patternProperties`, `uniqueItems`, lists whose items are described one by one, several types.
 */
export function crdOf(definition: ResourceDefinition): CustomResourceDefinition {
  const { group, version, kind, plural, scope } = definition
  const { shortNames, categories, selectableFields, printerColumns } = definition
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: qualifiedPlural(definition) },
    spec: {
      group,
      scope,
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular: kind.toLowerCase(),
        ...(shortNames.length > 0 && { shortNames }),
        ...(categories.length > 0 && { categories }),
      },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: schemaOf(definition) },
          subresources: {
            ...(definition.status && { status: {} }),
            ...(definition.scale && { scale: definition.scale }),
          },
          // A kind that names columns has no other than these, not even its age.
          ...(printerColumns.length > 0 && { additionalPrinterColumns: [...printerColumns, AGE] }),
          ...(selectableFields.length > 0 && {
            selectableFields: selectableFields.map((path) => ({ jsonPath: `.${path}` })),
          }),
        },
      ],
    },
  }
}

function schemaOf({ spec, status }: ResourceDefinition): Readonly<Record<string, unknown>> {
  const part = (schema: unknown) => crdSchema(structuralSchema(schema, { properties: { spec, status } }))
  return {
    type: 'object',
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { type: 'object' },
      spec: part(spec),
      ...(status && { status: part(status) }),
    },
    // As here: a kind that says something of its spec wants one.
    ...(Object.keys(spec).length > 0 && { required: ['spec'] }),
  }
}
