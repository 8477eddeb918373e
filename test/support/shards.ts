import { DriverCoordinator } from '../../src/coordination/driver-coordinator.js'
import type { CoordinatorDriver } from '../../src/coordination/driver.js'
import {
  joinShards,
  type OwnedBucket,
  type JoinShardsOptions,
  type ShardWorker,
} from '../../src/coordination/index.js'
import { MemoryCoordination } from '../../src/drivers/memory/coordinator.js'
import { virtualRuntime, type VirtualRuntime } from '../../src/testing/index.js'
import { recordingTelemetry } from './telemetry.js'

/** Workers that share one engine and one clock. */
export class ShardCluster {
  readonly logged: string[] = []
  /** What was counted, see `recordingTelemetry`. */
  readonly measured: Map<string, number>
  readonly runtime: VirtualRuntime
  readonly store: MemoryCoordination
  readonly workers = new Map<string, ShardWorker>()

  constructor(seed = 1) {
    const { telemetry, counts } = recordingTelemetry()
    const log = (level: string, message: string): void => void this.logged.push(`${level}: ${message}`)
    this.measured = counts
    this.runtime = virtualRuntime({ seed, telemetry: { ...telemetry, traces: false, log } })
    this.store = new MemoryCoordination(this.runtime.clock)
  }

  coordinator(driver: CoordinatorDriver = this.store.connect()): DriverCoordinator {
    return new DriverCoordinator(driver, { runtime: this.runtime })
  }

  /** A process with a worker. */
  join(worker: string, options: JoinShardsOptions = {}, coordinator = this.coordinator()): ShardWorker {
    const joined = joinShards(coordinator, 'orders', { tolerance: 0, worker, ...options })
    this.workers.set(worker, joined)
    return joined
  }

  /** How many buckets each has. */
  counts(): Record<string, number> {
    return Object.fromEntries(Array.from(this.workers, ([name, { owned }]) => [name, owned.length]))
  }

  /** Who has each bucket. */
  owners(): Map<string, string> {
    const owners = new Map<string, string>()
    for (const [name, { owned }] of this.workers)
      for (const { bucket } of owned) {
        if (owners.has(bucket)) throw new Error(`${owners.get(bucket)} and ${name} have ${bucket}`)
        owners.set(bucket, name)
      }
    return owners
  }

  advance(by: Parameters<VirtualRuntime['clock']['advance']>[0]): Promise<void> {
    return this.runtime.clock.advance(by)
  }

  /** Work that goes on until it is told to end, and then for a while. */
  work(ms = 0): (owned: OwnedBucket) => Promise<void> {
    return ({ signal }) =>
      new Promise((resolve) => {
        const { clock } = this.runtime
        signal.addEventListener('abort', () => clock.schedule(clock.now() + ms, resolve))
      })
  }
}
