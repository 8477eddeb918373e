/**
 * The process of one worker: runs a node without an admin listener, as the supervisor tells it.
 *
 * @packageDocumentation
 */
import cluster from 'node:cluster'
import v8 from 'node:v8'
import { systemClock } from '../../core/clock.js'
import type { CachePurge } from '../admin/cache.js'
import type { StartOptions } from '../../events/index.js'
import type { Override } from '../../traffic/policies/circuit-breaker.js'
import { surviveFaults } from '../faults.js'
import { createLog } from '../log.js'
import { Node } from '../node.js'
import type { NodeSpec } from '../spec.js'
import { Channel } from './channel.js'
import { CountsElsewhere } from './counts.js'

// As `banyan up` does it, and for the same reason.
v8.setFlagsFromString('--no-allocation-site-pretenuring')

// A signal reaches every process of a terminal; what it means is the supervisor's to say.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)

const write = createLog(process.stderr, systemClock)
const hurry = new AbortController()
let node: Node | undefined

const channel: Channel = new Channel(
  {
    send: (message) => void process.send?.(message),
    onMessage: (listener) => void process.on('message', listener),
  },
  {
    async start(spec: NodeSpec) {
      const log: typeof write = (level, message, attributes) =>
        write(level, message, { ...attributes, worker: cluster.worker?.id ?? 0 })
      const counts = new CountsElsewhere(channel)
      node = await Node.create({ ...spec, admin: false }, log, systemClock, undefined, undefined, counts)
      await node.start()
      surviveFaults(log)
    },
    apply: ({ spec, dryRun }: { spec: NodeSpec; dryRun: boolean }) =>
      node!.apply({ ...spec, admin: false }, undefined, { dryRun }).then(() => undefined),
    state: () => node!.state(),
    metrics: () => node!.metrics.json(),
    breakers: () => Array.from(node!.breakers, ([name, breaker]) => [name, breaker.snapshot()]),
    force: ({ name, override }: { name: string; override: Override }) =>
      node!.breakers.get(name)?.force(override),
    release: ({ name }: { name: string }) => node!.breakers.get(name)?.release(),
    explain: (id: string | undefined) => node!.explain(id),
    purge: (which: CachePurge) => node!.purge(which),
    projections: ({ call, args }: { call: string; args: unknown[] }) => {
      const own = node!.projections as unknown as Record<string, (...args: unknown[]) => unknown> | undefined
      return own?.[call]?.(...args)
    },
    captures: ({ call, args }: { call: string; args: unknown[] }) => {
      const own = node!.captures as unknown as Record<string, (...args: unknown[]) => unknown> | undefined
      return own?.[call]?.(...args)
    },
    startSaga: ({ name, input, options }: { name: string; input?: unknown; options: StartOptions }) =>
      node!.sagas?.start(name, input, options),
    reopenLogs: () => node!.reopenLogs(),
    stop: () => node?.stop(hurry.signal),
    hurry: () => hurry.abort(),
  },
)

process.on('disconnect', () => channel.close())
void channel.ask('listening')
