import {
  defineResource,
  type PrinterColumn,
  type ResourceDefinition,
} from '../../coordination/resources/define.js'
import { jsonSchema } from '../config/json-schema.js'
import { specSchema } from './spec-schema.js'
import { STATUS_SCHEMA, type EntryStatus } from './status.js'

/** Whose kinds they are. */
export const GROUP = 'banyan.dev'

/** The kind of what a configuration says of the node itself, and not by name: where it listens, how it ends, ... */
export const NODE_KIND = 'Node'

/** How the kinds are called whose resources stand under a name of `banyan.yaml`; that name is their plural. */
const KINDS: Readonly<Record<string, { kind: string; shortNames?: readonly string[] }>> = {
  services: { kind: 'Service', shortNames: ['svc'] },
  policies: { kind: 'Policy', shortNames: ['pol'] },
  authenticators: { kind: 'Authenticator', shortNames: ['auth'] },
  quotas: { kind: 'Quota' },
  routes: { kind: 'Route', shortNames: ['rt'] },
  topics: { kind: 'Topic' },
  subscriptions: { kind: 'Subscription', shortNames: ['sub', 'subs'] },
  projections: { kind: 'Projection', shortNames: ['proj'] },
  outboxes: { kind: 'Outbox' },
  cdc: { kind: 'Capture' },
  sagas: { kind: 'Saga' },
  register: { kind: 'Registration', shortNames: ['reg'] },
  shards: { kind: 'Shards' },
  replicas: { kind: 'Replicas' },
  kinds: { kind: 'Kind' },
  controllers: { kind: 'Controller', shortNames: ['ctl'] },
}

/** A kind whose resources are entries of `banyan.yaml`. */
export interface EntryKind {
  /** Where its entries stand; undefined for the node itself. */
  readonly section: string | undefined
  readonly definition: ResourceDefinition<Record<string, unknown>, EntryStatus>
}

/** Every kind of `banyan.yaml`, from the schema of the configuration. */
export function entryKinds(): readonly EntryKind[] {
  return (kinds ??= define())
}

/** Made when they are first needed: most nodes never need them. */
let kinds: readonly EntryKind[] | undefined

function define(): EntryKind[] {
  const sections = jsonSchema()['properties'] as Readonly<Record<string, Readonly<Record<string, unknown>>>>
  const own: Record<string, unknown> = {}
  const found: EntryKind[] = []
  for (const [section, schema] of Object.entries(sections)) {
    if (section === '$schema') continue
    if (!isMapOfNames(schema)) {
      own[section] = schema
      continue
    }
    const names = KINDS[section]
    if (!names) throw new TypeError(`no kind is named for the entries of \`${section}\``)
    const about = { description: schema['description'], ...(schema['additionalProperties'] as object) }
    found.push({ section, definition: definitionOf(section, names, about) })
  }
  const node = { type: 'object', description: 'What a node does by itself.', properties: own }
  return [...found, { section: undefined, definition: definitionOf('nodes', { kind: NODE_KIND }, node) }]
}

/** Whether the configuration has entries there, each under a name of its own. */
function isMapOfNames(schema: Readonly<Record<string, unknown>>): boolean {
  return 'propertyNames' in schema && typeof schema['additionalProperties'] === 'object'
}

/** Which configuration a node runs: the same for all that run the same. */
const RUNS: PrinterColumn = { name: 'Runs', type: 'string', jsonPath: '.status.nodes[0].configHash' }

function conditionColumn(name: string): PrinterColumn {
  return { name, type: 'string', jsonPath: `.status.conditions[?(@.type=="${name}")].status` }
}

function definitionOf(
  plural: string,
  { kind, shortNames = [] }: { kind: string; shortNames?: readonly string[] },
  schema: object,
): EntryKind['definition'] {
  return defineResource({
    group: GROUP,
    kind,
    plural,
    shortNames,
    categories: ['banyan'],
    printerColumns: [
      ...['Accepted', 'Programmed', 'Ready'].map(conditionColumn),
      ...(kind === NODE_KIND ? [RUNS] : []),
    ],
    spec: specSchema(schema),
    status: STATUS_SCHEMA,
  })
}
