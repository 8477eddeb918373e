import { checkKey } from './keys.js'

/**
 * Where each pattern keeps its keys, so that operators find them, and nobody has to know two patterns to use one.
 *
 * | prefix | what |
 * |---|---|
 * | `banyan/elections/NAME/` | who leads (`leader`), who would (`candidates/`), and what an operator asks for (`request`) |
 * | `banyan/locks/NAME/` | who holds a lock or waits for it, one key each |
 * | `banyan/semaphores/NAME/` | the same for semaphores |
 * | `banyan/jobs/NAME` | a scheduled job: its plan, and what is decided about its times |
 * | `banyan/jobs-running/NAME` | who runs it at the moment |
 * | `banyan/services/NAME/` | the registered instances of a service |
 * | `banyan/shards/NAME/` | a shard map: its workers, who owns each bucket, the plan, and what operators ask for |
 * | `banyan/replication/NAME/leader` | which server of a replicated database leads |
 * | `banyan/fences/NAME` | the highest token that servers have seen |
 * | `banyan/data-shards/NAME` | which database has which buckets, and what is on its way |
 * | `banyan/logs/ID/` | who leads an event log with followers (`leader`), and in which epoch (`epoch`) |
 * | `banyan/resources/GROUP/PLURAL/NAMESPACE/NAME` | a resource; of kinds without namespaces, nothing stands for the namespace |
 * | `banyan/nodes/NAMESPACE/NAME` | which process is the node of that name, of those that run resources |
 * | `banyan/history/...` | what has happened to any of them |
 */
export const KEYSPACE = {
  elections: 'banyan/elections/',
  locks: 'banyan/locks/',
  semaphores: 'banyan/semaphores/',
  jobs: 'banyan/jobs/',
  jobsRunning: 'banyan/jobs-running/',
  services: 'banyan/services/',
  shards: 'banyan/shards/',
  replication: 'banyan/replication/',
  fences: 'banyan/fences/',
  dataShards: 'banyan/data-shards/',
  resources: 'banyan/resources/',
  nodes: 'banyan/nodes/',
  history: 'banyan/history/',
} as const

/** A name as one segment of a key: the names `a` and `a/b` must not meet. */
export function segment(name: string): string {
  checkKey(name)
  return name.replace(/[%/]/g, encodeURIComponent)
}

/** The name that a segment stands for. */
export function nameOf(segment: string): string {
  return segment.replace(/%25|%2F/g, decodeURIComponent)
}
