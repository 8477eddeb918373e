import type { ResourceSchema } from '../../coordination/resources/schema/content.js'

/** What is known of an entry of the configuration. */
export interface EntryStatus {
  /** The generation of its spec that every node has looked at. */
  readonly observedGeneration?: number
  /** What is true of all nodes together. */
  readonly conditions?: readonly Condition[]
  /** What each node says of it. */
  readonly nodes?: readonly NodeReport[]
}

/** Something that is so or not, as Kubernetes has it. */
export interface Condition {
  /** `Accepted`, `Programmed`, `Ready`. */
  readonly type: string
  readonly status: ConditionStatus
  /** One word that programs can compare. */
  readonly reason: string
  /** For people. */
  readonly message: string
  readonly observedGeneration: number
  /** When `status` has changed last; RFC 3339. */
  readonly lastTransitionTime: string
}

/** See {@link Condition.status}. */
export type ConditionStatus = 'True' | 'False' | 'Unknown'

/** What one node says of a resource. */
export interface NodeReport {
  /** Of the node. */
  readonly name: string
  /** The generation of the spec that it has looked at. */
  readonly observedGeneration: number
  /** Of the node itself: the generation of its configuration that it runs; see `GET /api/state`. */
  readonly configGeneration?: number
  /** Of the node itself: the same on every node that runs the same. */
  readonly configHash?: string
  readonly conditions: readonly Pick<Condition, 'type' | 'status' | 'reason' | 'message'>[]
}

const text = { type: 'string' } as const
const whole = { type: 'integer' } as const
const status = { type: 'string', enum: ['True', 'False', 'Unknown'] } as const

/** The schema of {@link EntryStatus}. */
export const STATUS_SCHEMA: ResourceSchema = {
  type: 'object',
  description: 'What is known of it.',
  properties: {
    observedGeneration: { ...whole, description: 'The generation that every node has looked at.' },
    conditions: {
      type: 'array',
      description: 'What is true of all nodes together.',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['type'],
      items: {
        type: 'object',
        required: ['type', 'status'],
        properties: {
          type: text,
          status,
          reason: text,
          message: text,
          observedGeneration: whole,
          lastTransitionTime: { type: 'string', format: 'date-time' },
        },
      },
    },
    nodes: {
      type: 'array',
      description: 'What each node says of it.',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
      items: {
        type: 'object',
        required: ['name'],
        properties: {
          name: { ...text, description: 'Of the node.' },
          observedGeneration: whole,
          configHash: { ...text, description: 'The same on every node that runs the same.' },
          configGeneration: { ...whole, description: 'The generation of its configuration that it runs.' },
          conditions: {
            type: 'array',
            items: {
              type: 'object',
              required: ['type', 'status'],
              properties: { type: text, status, reason: text, message: text },
            },
          },
        },
      },
    },
  },
}
