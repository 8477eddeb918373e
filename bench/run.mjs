// @ts-check
/** Runs every benchmark, or those named, and writes the tables to bench/results/latest.md. */
import { cpus, totalmem } from 'node:os'
import { writeFileSync } from 'node:fs'

const parts = {
  policies: async () => (await import('./policies.mjs')).policies(),
  proxies: async () => (await import('./proxy.mjs')).proxies(),
  gateway: async () => (await import('./gateway.mjs')).gateway(),
  access: async () => (await import('./access.mjs')).access(),
  events: async () => (await import('./events.mjs')).events(),
  'event-sourcing': async () => (await import('./event-sourcing.mjs')).eventSourcing(),
  pubsub: async () => (await import('./pubsub.mjs')).pubsub(),
  projections: async () => (await import('./projections.mjs')).projections(),
  outbox: async () => (await import('./outbox.mjs')).outbox(),
  sagas: async () => (await import('./sagas.mjs')).sagas(),
  cdc: async () => (await import('./cdc.mjs')).cdc(),
  coordination: async () => (await import('./coordination.mjs')).coordination(),
  etcd: async () => (await import('./etcd.mjs')).etcd(),
  replicas: async () => (await import('./replicas.mjs')).replicas(),
  registry: async () => (await import('./registry.mjs')).registry(),
  hashing: async () => (await import('./hashing.mjs')).hashing(),
  scatter: async () => (await import('./scatter.mjs')).scatter(),
  'data-sharding': async () => (await import('./data-sharding.mjs')).resharding(),
  shards: async () => (await import('./shards.mjs')).shards(),
  'log-followers': async () => (await import('./log-followers.mjs')).logFollowers(),
  resources: async () => (await import('./resources-watch.mjs')).resourcesWatch(),
  'resources-store': async () => (await import('./resources-store.mjs')).resourcesStore(),
  informers: async () => (await import('./informers.mjs')).informers(),
  'work-queue': async () => (await import('./work-queue.mjs')).workQueues(),
  reconcile: async () => (await import('./reconcile.mjs')).reconcile(),
  footprint: async () => (await import('./footprint.mjs')).footprint(),
}
const names = process.argv.slice(2)
const chosen = Object.entries(parts).filter(([name]) => names.length === 0 || names.includes(name))
const sections = [
  `# Benchmarks\n\n${new Date().toISOString().slice(0, 10)}, Node ${process.version}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GB. Figures of one machine drift; what counts is the ratio inside one run.`,
]
for (const [name, run] of chosen) {
  console.error(`running ${name} ...`)
  sections.push(await run())
}
const text = `${sections.join('\n\n')}\n`
if (names.length === 0) writeFileSync(new URL('./results/latest.md', import.meta.url), text)
console.log(text)
process.exit(0)
