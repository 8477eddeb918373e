// @ts-check
/**
 * Runs a controller: each `Batch` is to have so many `Piece`s, no more and no less, whose names are drawn by chance. So a run that does
 * not see what the one before it has made would make too many. Prints `ready`, and before and behind each write a line
 * of JSON, until SIGTERM.
 *
 * Its argument is JSON: `where`, `name`, `ttl` in ms, and `by`: `election` or `shards`.
 */
import {
  controller,
  defineResource,
  garbageCollector,
  openCoordinator,
  openResources,
} from 'banyan/coordination'
import { setTimeout as sleep } from 'node:timers/promises'

const { where, name, ttl, by } = JSON.parse(process.argv[2] ?? '{}')
process.stdin.on('end', () => process.exit(1)).resume()
const coordinator = await openCoordinator(where)
const api = openResources(coordinator)
const status = { type: 'object', properties: { observedGeneration: { type: 'integer' } } }
/** @type {import('banyan/coordination').ResourceDefinition<{ pieces: number }, { observedGeneration?: number }>} */
const Batch = defineResource({ group: 'test.example', kind: 'Batch', plural: 'batches', status })
const Piece = defineResource({ group: 'test.example', kind: 'Piece' })

/** @type {(what: string, key: string, token: number | undefined) => void} */
const line = (what, key, token) => void process.stdout.write(`${JSON.stringify({ what, key, token })}\n`)

const who =
  by === 'shards'
    ? { shards: { coordinator, worker: name, ttl, buckets: 8, settle: 100 } }
    : { election: { coordinator, holder: name, ttl } }
const batches = controller({
  name: 'batches',
  api,
  resource: Batch,
  owns: [Piece],
  ...who,
  reconcile: async (key, ctx) => {
    const batch = ctx.get()
    if (!batch) return
    const { token } = ctx
    line('begin', key, token)
    const pieces = ctx.owned(Piece)
    for (let count = pieces.length; count < batch.spec.pieces; count++) {
      line('create', key, token)
      await ctx.api.create(Piece, ctx.child({ metadata: { generateName: 'piece-' }, spec: {} }))
      line('created', key, token)
      await sleep(5)
    }
    for (const { metadata } of pieces.slice(batch.spec.pieces)) {
      line('delete', key, token)
      await ctx.api.delete(Piece, metadata, { preconditions: { uid: metadata.uid } })
    }
    line('end', key, token)
  },
})
const garbage = garbageCollector(api, [Batch, Piece], { election: { coordinator, holder: name, ttl } })
await batches.ready
process.once('SIGTERM', async () => {
  await Promise.all([batches.close(), garbage.close()])
  await api.close()
  await coordinator.close()
  process.exit(0)
})
process.stdout.write('ready\n')
