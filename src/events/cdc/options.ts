import { bytes, type Bytes } from '../../core/bytes.js'
import { BanyanError } from '../../core/errors.js'
import { checkOptions, findProblems, type OptionTable } from '../../core/options.js'
import { systemRuntime, type Runtime } from '../../core/runtime.js'
import type { EventLog } from '../log.js'
import { checkTopic } from '../pubsub/topic.js'
import type { CapturedEvent, RowChange, Operation } from './change.js'
import type { ChangeSource } from './source.js'

/** What becomes of the changes of a table. */
export interface TableCapture {
  /** Where its events go: a row has the stream `topic-key`. One table a topic. */
  topic: string
  /** Columns whose values name the stream of a row, in the order of the table. Default: the primary key. */
  key?: string | readonly string[]
  /** Types of its events; default the topic with `Inserted`, `Updated`, `Deleted`, `Snapshotted`, `Truncated`: `CustomerInserted`. */
  types?: Partial<Record<Operation, string>>
  /**
   * Makes other events of a change: one, several, or none to drop it. Without waiting for anything, and the same of the same
   * change. If it throws, or the log does not take what it gives, the row is parked.
   */
  map?: (change: RowChange) => CapturedEvent | readonly CapturedEvent[] | undefined
}

/** When a capture takes a new snapshot by itself. */
export type ResnapshotReason = 'slot-lost' | 'schema-changed'

/** Options of `captureChanges`. */
export interface CaptureOptions {
  /** The database: `postgres://user:password@host/database`, directly and not through a pooler; or a source of your own. */
  from: string | ChangeSource
  /** Of its slot, its publication (`banyan_` and this) and its state in the log: lower case letters, digits and `_`, up to 40. */
  name: string
  /** Where the events go; stays open. */
  log: EventLog
  /** By name with its schema: `{ 'public.customers': { topic: 'customer' } }`. */
  tables: Readonly<Record<string, TableCapture>>
  /** When to take a new snapshot by itself, besides the first and those of tables that come in. Default never. */
  resnapshotOn?: readonly ResnapshotReason[]
  /** How much write-ahead log the server may keep for the capture before that is reported; default `'1GB'`. */
  maxLag?: Bytes
  /** How many rows may be parked before the capture waits for somebody to mend them; default 10,000. */
  maxParked?: number
  /** How many changes one commit of the log holds, at most; default 1,000. Larger transactions take several. */
  batch?: number
  /** Time and telemetry; default the system's. */
  runtime?: Runtime
  /** Closes it. */
  signal?: AbortSignal
}

const OPTIONS: OptionTable<CaptureOptions> = {
  from: {
    kind: 'either',
    of: [
      { kind: 'string', doc: 'a URL' },
      { kind: 'code', type: 'object', doc: 'a source' },
    ],
    doc: 'the database',
  },
  name: { kind: 'string', doc: 'of the slot, the publication and the state' },
  log: { kind: 'code', type: 'object', doc: 'where the events go' },
  tables: { kind: 'code', type: 'object', doc: 'what becomes of the changes of each table' },
  resnapshotOn: {
    kind: 'list',
    of: { kind: 'choice', values: ['slot-lost', 'schema-changed'], doc: 'a reason' },
    doc: 'when to take a new snapshot by itself',
  },
  maxLag: {
    kind: 'either',
    of: [
      { kind: 'number', min: 1, doc: 'bytes' },
      { kind: 'string', doc: 'as "1GB"' },
    ],
    doc: 'how much write-ahead log may be kept before that is reported',
  },
  maxParked: { kind: 'number', min: 1, integer: true, doc: 'how many rows may be parked' },
  batch: { kind: 'number', min: 1, max: 5000, integer: true, doc: 'changes of one commit' },
  runtime: { kind: 'code', type: 'object', doc: 'time and telemetry' },
  signal: { kind: 'code', type: 'object', doc: 'closes it' },
}

const type = { kind: 'string', doc: 'a type of event' } as const

const TABLE: OptionTable<TableCapture> = {
  topic: { kind: 'string', doc: 'where its events go' },
  key: {
    kind: 'either',
    of: [
      { kind: 'string', doc: 'a column' },
      { kind: 'list', of: { kind: 'string', doc: 'a column' }, doc: 'columns' },
    ],
    doc: 'columns that name the stream of a row',
  },
  types: {
    kind: 'group',
    options: { insert: type, update: type, delete: type, snapshot: type, truncate: type },
    doc: 'types of its events',
  },
  map: { kind: 'code', type: 'function', doc: 'makes other events of a change' },
}

/** What a table becomes, with every default. */
export interface TableSettings {
  /** As configured. */
  readonly name: string
  readonly topic: string
  readonly key: readonly string[] | undefined
  readonly types: Readonly<Record<Operation, string>>
  readonly map: TableCapture['map']
}

export interface CaptureSettings {
  readonly name: string
  readonly log: EventLog
  readonly tables: readonly TableSettings[]
  readonly resnapshotOn: readonly ResnapshotReason[]
  readonly maxLag: number
  readonly maxParked: number
  readonly batch: number
  readonly runtime: Runtime
}

const NAME = /^[a-z][a-z0-9_]{0,39}$/

/** @throws `BANYAN_INVALID_OPTIONS` */
export function captureSettings(options: CaptureOptions): CaptureSettings {
  checkOptions('captureChanges', OPTIONS, options)
  for (const needed of ['from', 'name', 'log', 'tables'] as const)
    if ((options as Partial<CaptureOptions>)[needed] === undefined)
      throw invalid(`needs ${needed}: ${OPTIONS[needed].doc}`)
  const { name, log, tables, runtime = systemRuntime } = options
  if (!NAME.test(name))
    throw invalid(
      `name must be lower case letters, digits and _, up to 40, as a replication slot is called so; got ${JSON.stringify(name)}`,
    )
  if (log.capabilities.atomic !== 'log')
    throw invalid(
      `the log commits to one stream at a time (capabilities.atomic), and a change is appended together with how far the capture is`,
    )
  return {
    name,
    log,
    tables: tablesOf(tables),
    resnapshotOn: options.resnapshotOn ?? [],
    maxLag: bytes(options.maxLag ?? '1GB', 'maxLag'),
    maxParked: options.maxParked ?? 10_000,
    batch: options.batch ?? 1000,
    runtime,
  }
}

function tablesOf(tables: CaptureOptions['tables']): TableSettings[] {
  const entries = Object.entries(tables)
  if (entries.length === 0)
    throw invalid("tables is empty; say which: { 'public.customers': { topic: 'customer' } }")
  const topics = new Map<string, string>()
  return entries.map(([name, capture]) => {
    const [problem] = findProblems(TABLE, capture)
    if (problem) throw invalid(`tables.${name} ${[problem.path.join('.'), problem.message].join(' ').trim()}`)
    checkTopic(capture.topic)
    const other = topics.get(capture.topic)
    if (other !== undefined)
      throw invalid(`tables ${other} and ${name} have the topic ${capture.topic}: each needs one of its own`)
    topics.set(capture.topic, name)
    if (capture.key?.length === 0) throw invalid(`tables.${name} key is empty`)
    return {
      name: name.includes('.') ? name : `public.${name}`,
      topic: capture.topic,
      key: capture.key === undefined ? undefined : [capture.key].flat(),
      types: { ...typesOf(capture.topic), ...capture.types },
      map: capture.map,
    }
  })
}

/** `order_item` is `OrderItemInserted` and so on. */
function typesOf(topic: string): Record<Operation, string> {
  const name = topic
    .split(/[^\p{L}\p{N}]+/u)
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('')
  return {
    insert: `${name}Inserted`,
    update: `${name}Updated`,
    delete: `${name}Deleted`,
    snapshot: `${name}Snapshotted`,
    truncate: `${name}Truncated`,
  }
}

function invalid(message: string): BanyanError {
  return new BanyanError('BANYAN_INVALID_OPTIONS', `captureChanges: ${message}`)
}
