import { duration, type Duration } from '../../core/duration.js'
import { BanyanError } from '../../core/errors.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import { systemRuntime, type Runtime } from '../../core/runtime.js'
import type { Coordinator } from '../coordinator.js'
import { segment } from '../keyspace.js'

/** Options of {@link openReplicas}. */
export interface ReplicasOptions<Place = string> {
  /** The servers by name, leader and followers in any order: URLs, or pools of the application, which stay open. */
  nodes: Readonly<Record<string, Place>>
  /** What routers and operators of the same servers call them. Default `'main'`. */
  name?: string
  /** Where it is agreed who leads. Without it a router knows only what the servers say. */
  coordinator?: Coordinator
  /** The system identifier of the cluster; default that of most servers when it is opened. */
  cluster?: string
  /** How often each server is looked at, in ms. Default `'200ms'`. */
  interval?: Duration
  /** When a server that does not answer is away, and how long a transaction waits for a connection, in ms. Default `'2s'`. */
  answerWithin?: Duration
  /** A follower that lacks what the leader had longer ago takes no reads until it is within half of that. In ms, default `'10s'`. */
  maxLag?: Duration
  /** How long a read waits for a follower that is fresh enough, in ms. Default `'500ms'`. */
  wait?: Duration
  /** How long a write waits for a leader, in ms. Default `'10s'`. */
  failover?: Duration
  /** How many writes wait for a leader at once, at most; others fail at once. Default 1000. */
  buffer?: number
  /** For half of this after the coordinator was last heard writes go on, in ms; the same for all. Default `'10s'`. */
  ttl?: Duration
  /** Whether an old leader that comes back is made to only read. Default true. */
  fence?: boolean
  /** How many connections to each server, at most, where URLs are given. Default 10. */
  connections?: number
  runtime?: Runtime
}

/** What each option may be. */
export const replicasOptions: OptionTable<ReplicasOptions> = {
  nodes: { kind: 'code', type: 'object', doc: 'the servers by name' },
  name: { kind: 'string', doc: 'what routers and operators call them' },
  coordinator: { kind: 'code', type: 'object', doc: 'where it is agreed who leads' },
  cluster: { kind: 'string', doc: 'the system identifier of the cluster' },
  interval: { kind: 'duration', min: 1, doc: 'how often each server is looked at' },
  answerWithin: { kind: 'duration', min: 1, doc: 'when a server that does not answer is away' },
  maxLag: { kind: 'duration', min: 1, doc: 'how far behind a follower may be to take reads' },
  wait: { kind: 'duration', doc: 'how long a read waits for a follower' },
  failover: { kind: 'duration', doc: 'how long a write waits for a leader' },
  buffer: { kind: 'number', min: 0, integer: true, doc: 'how many writes wait for a leader' },
  ttl: { kind: 'duration', min: 100, doc: 'how long the word of the coordinator counts, twice' },
  fence: { kind: 'boolean', doc: 'whether an old leader is made to only read' },
  connections: { kind: 'number', min: 1, max: 1000, integer: true, doc: 'to each server, at most' },
  runtime: { kind: 'code', type: 'object', doc: 'time, chance, telemetry' },
}

/** {@link ReplicasOptions} with defaults; times in ms. */
export interface Settings {
  readonly name: string
  readonly coordinator: Coordinator | undefined
  readonly cluster: string | undefined
  readonly interval: number
  readonly answerWithin: number
  readonly maxLag: number
  readonly wait: number
  readonly failover: number
  readonly buffer: number
  readonly ttl: number
  readonly fence: boolean
  readonly connections: number
  readonly runtime: Runtime
}

/** @throws `BANYAN_INVALID_OPTIONS` */
export function settingsOf(options: ReplicasOptions<unknown>): Settings {
  checkOptions('openReplicas', replicasOptions, options as ReplicasOptions)
  const { name = 'main', coordinator, nodes } = options
  segment(name)
  if ((nodes as unknown) === undefined || Object.keys(nodes).length === 0)
    throw new BanyanError('BANYAN_INVALID_OPTIONS', 'openReplicas: nodes must name at least one server')
  return {
    name,
    coordinator,
    cluster: options.cluster,
    interval: duration(options.interval ?? '200ms'),
    answerWithin: duration(options.answerWithin ?? '2s'),
    maxLag: duration(options.maxLag ?? '10s'),
    wait: duration(options.wait ?? '500ms'),
    failover: duration(options.failover ?? '10s'),
    buffer: options.buffer ?? 1000,
    ttl: duration(options.ttl ?? '10s'),
    fence: options.fence ?? true,
    connections: options.connections ?? 10,
    runtime: options.runtime ?? coordinator?.runtime ?? systemRuntime,
  }
}

/** Options of {@link Replicas.read}. */
export interface ReplicaReadOptions {
  /** A token: the read sees at least what it stands for. */
  after?: string
  /** How old what is read may be at most, in ms. Default: as old as `maxLag` of a follower, and older while there is no leader. */
  maxStaleness?: Duration
  /** How long to wait for a follower that is fresh enough, in ms; default that of the replicas. */
  wait?: Duration
  /** What to do if none is in that time: to read from the leader, or to fail. Default `'leader'`. */
  fallback?: 'leader' | 'refuse'
  /** Where to read if both would do. Default `'follower'`. */
  prefer?: 'follower' | 'leader'
  /** Ends the waiting. */
  signal?: AbortSignal
}

const READ: OptionTable<ReplicaReadOptions> = {
  after: { kind: 'string', doc: 'a token' },
  maxStaleness: { kind: 'duration', doc: 'how old what is read may be' },
  wait: { kind: 'duration', doc: 'how long to wait for a follower' },
  fallback: {
    kind: 'choice',
    values: ['leader', 'refuse'],
    doc: 'what to do if no follower is fresh enough',
  },
  prefer: { kind: 'choice', values: ['follower', 'leader'], doc: 'where to read if both would do' },
  signal: { kind: 'code', type: 'object', doc: 'ends the waiting' },
}

/** @throws `BANYAN_INVALID_OPTIONS` */
export function checkReadOptions(options: ReplicaReadOptions): void {
  checkOptions('read', READ, options)
}

/** Options of {@link Replicas.write}. */
export interface ReplicaWriteOptions {
  /** How long to wait for a leader, in ms; default that of the replicas. */
  failover?: Duration
  /** Ends the waiting. */
  signal?: AbortSignal
}

const WRITE: OptionTable<ReplicaWriteOptions> = {
  failover: { kind: 'duration', doc: 'how long to wait for a leader' },
  signal: { kind: 'code', type: 'object', doc: 'ends the waiting' },
}

/** @throws `BANYAN_INVALID_OPTIONS` */
export function checkWriteOptions(options: ReplicaWriteOptions): void {
  checkOptions('write', WRITE, options)
}
