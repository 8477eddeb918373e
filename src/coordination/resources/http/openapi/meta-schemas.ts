/** Schemas by name, as of OpenAPI 3.0. */
export type Schemas = Readonly<Record<string, Readonly<Record<string, unknown>>>>

const META = 'io.k8s.apimachinery.pkg.apis.meta.v1.'
const AUTOSCALING = 'io.k8s.api.autoscaling.v1.'

/** Names of the schemas that those of kinds and operations refer to. */
export const META_NAMES = {
  objectMeta: `${META}ObjectMeta`,
  listMeta: `${META}ListMeta`,
  status: `${META}Status`,
  deleteOptions: `${META}DeleteOptions`,
  patch: `${META}Patch`,
  scale: `${AUTOSCALING}Scale`,
} as const

/** A reference to a schema of the same document. */
export function reference(name: string): { readonly $ref: string } {
  return { $ref: `#/components/schemas/${name}` }
}

/** What a field refers to, and what is to be said of it there. */
export function referring(name: string, description: string): Readonly<Record<string, unknown>> {
  return { description, allOf: [reference(name)] }
}

const text = (description: string) => ({ type: 'string', description })
const integer = (description: string) => ({ type: 'integer', format: 'int64', description })
const flag = (description: string) => ({ type: 'boolean', description })
const time = (description: string) => ({ type: 'string', format: 'date-time', description })
const texts = (description: string) => ({
  type: 'object',
  description,
  additionalProperties: { type: 'string' },
})
const listOf = (items: object, description: string, more: object = {}) => ({
  type: 'array',
  description,
  items,
  ...more,
})

/** The fields that every object begins with. */
export const TYPE_META = {
  apiVersion: text('Group and version of the kind: GROUP/VERSION.'),
  kind: text('The kind of the object.'),
} as const

/** What is the same for all kinds. */
export const META_SCHEMAS: Schemas = {
  [META_NAMES.objectMeta]: {
    type: 'object',
    description: 'Who an object is.',
    properties: {
      annotations: texts('Whatever tools want to keep with the object. Nothing is selected by it.'),
      creationTimestamp: time('When the object was made. Set by the server.'),
      deletionGracePeriodSeconds: integer('Seconds that the object was given to go. Set by the server.'),
      deletionTimestamp: time(
        'When the object was asked to be deleted. It goes when its last finalizer does. Set by the server.',
      ),
      finalizers: listOf(
        { type: 'string' },
        'What has to be done before the object may go: who has done it takes its entry out.',
        { 'x-kubernetes-list-type': 'set', 'x-kubernetes-patch-strategy': 'merge' },
      ),
      generateName: text('What the server makes a name of, if there is none.'),
      generation: integer('Rises with each change of what is wanted. Set by the server.'),
      labels: texts('What the object is selected by.'),
      managedFields: listOf(reference(`${META}ManagedFieldsEntry`), 'Who manages which fields.', {
        'x-kubernetes-list-type': 'atomic',
      }),
      name: text('No other object of the kind has it in the same namespace. It cannot be changed.'),
      namespace: text('Where the object is. It cannot be changed.'),
      ownerReferences: listOf(
        reference(`${META}OwnerReference`),
        'What the object belongs to: it goes when none of them is left.',
        {
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['uid'],
          'x-kubernetes-patch-merge-key': 'uid',
          'x-kubernetes-patch-strategy': 'merge',
        },
      ),
      resourceVersion: text(
        'Of the last change of the object. An update names the one that it was made from. Set by the server.',
      ),
      selfLink: text('Not used any more.'),
      uid: text('Of this object alone, also after it was made again under its name. Set by the server.'),
    },
  },
  [META_NAMES.listMeta]: {
    type: 'object',
    description: 'Of a list.',
    properties: {
      continue: text('Asks for what comes next; not there if this is all.'),
      remainingItemCount: integer('How many come next.'),
      resourceVersion: text('Watching from here continues the list.'),
      selfLink: text('Not used any more.'),
    },
  },
  [`${META}OwnerReference`]: {
    type: 'object',
    description: 'An object that another one belongs to.',
    required: ['apiVersion', 'kind', 'name', 'uid'],
    properties: {
      apiVersion: text('Group and version of the owner.'),
      blockOwnerDeletion: flag(
        'Whether the owner, deleted in the foreground, waits for this one to be gone.',
      ),
      controller: flag('Whether the owner is what controls the object.'),
      kind: text('The kind of the owner.'),
      name: text('The name of the owner.'),
      uid: text('The uid of the owner.'),
    },
    'x-kubernetes-map-type': 'atomic',
  },
  [`${META}ManagedFieldsEntry`]: {
    type: 'object',
    description: 'The fields that somebody manages.',
    properties: {
      apiVersion: text('The version that the fields are of.'),
      fieldsType: text('How the fields are written: FieldsV1.'),
      fieldsV1: reference(`${META}FieldsV1`),
      manager: text('Who manages the fields.'),
      operation: text('Apply, or Update.'),
      subresource: text('What they were written through.'),
      time: time('When they were written.'),
    },
  },
  [`${META}FieldsV1`]: {
    type: 'object',
    description: 'Fields as a tree: f:NAME, k:{KEYS}, v:VALUE, and a dot.',
  },
  [META_NAMES.patch]: { type: 'object', description: 'What is to be changed.' },
  [META_NAMES.deleteOptions]: {
    type: 'object',
    description: 'How to delete.',
    properties: {
      ...TYPE_META,
      dryRun: listOf({ type: 'string' }, 'All: say what would come of it, but do not do it.'),
      gracePeriodSeconds: integer('Seconds that the object is given to go.'),
      orphanDependents: flag('In place of propagationPolicy.'),
      preconditions: reference(`${META}Preconditions`),
      propagationPolicy: text('What becomes of those that belong to it: Orphan, Background or Foreground.'),
    },
  },
  [`${META}Preconditions`]: {
    type: 'object',
    description: 'What must be so.',
    properties: {
      resourceVersion: text('The version that the object has.'),
      uid: text('The uid that the object has.'),
    },
  },
  [META_NAMES.status]: {
    type: 'object',
    description: 'What became of a request.',
    properties: {
      ...TYPE_META,
      code: { type: 'integer', format: 'int32', description: 'The status of HTTP.' },
      details: reference(`${META}StatusDetails`),
      message: text('For people.'),
      metadata: reference(META_NAMES.listMeta),
      reason: text('For machines.'),
      status: text('Success, or Failure.'),
    },
  },
  [`${META}StatusDetails`]: {
    type: 'object',
    description: 'What a failure is about.',
    properties: {
      causes: listOf(reference(`${META}StatusCause`), 'Everything that is wrong.'),
      group: text('The group of the object.'),
      kind: text('The kind of the object.'),
      name: text('The name of the object.'),
      retryAfterSeconds: { type: 'integer', format: 'int32', description: 'When it is worth trying again.' },
      uid: text('The uid of the object.'),
    },
  },
  [`${META}StatusCause`]: {
    type: 'object',
    description: 'One thing that is wrong.',
    properties: {
      field: text('Where: spec.steps[2].name.'),
      message: text('For people.'),
      reason: text('For machines.'),
    },
  },
}

/** What objects that can be scaled are under `scale`. */
export const SCALE_SCHEMAS: Schemas = {
  [META_NAMES.scale]: {
    type: 'object',
    description: 'How many there are of something, and are wanted.',
    properties: {
      ...TYPE_META,
      metadata: reference(META_NAMES.objectMeta),
      spec: reference(`${AUTOSCALING}ScaleSpec`),
      status: reference(`${AUTOSCALING}ScaleStatus`),
    },
    'x-kubernetes-group-version-kind': [{ group: 'autoscaling', version: 'v1', kind: 'Scale' }],
  },
  [`${AUTOSCALING}ScaleSpec`]: {
    type: 'object',
    description: 'How many are wanted.',
    properties: { replicas: { type: 'integer', format: 'int32', description: 'How many are wanted.' } },
  },
  [`${AUTOSCALING}ScaleStatus`]: {
    type: 'object',
    description: 'How many there are.',
    required: ['replicas'],
    properties: {
      replicas: { type: 'integer', format: 'int32', description: 'How many there are.' },
      selector: text('What selects them.'),
    },
  },
}
