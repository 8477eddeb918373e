/**
 * A leader or a follower of an event log, which serves followers at a port, and does what its parent says. Its arguments: the
 * place of the log, a port, and for a follower the address of its leader.
 */
import { createServer } from 'node:http'
import { nodeListener, noTelemetry, systemRuntime } from 'banyan/core'
import { fenceLeader, followersOverHttp, followLog, leaderAt, openLog, promoteFollower } from 'banyan/events'

const [where, port, leader] = process.argv.slice(2)
const runtime = { ...systemRuntime, telemetry: noTelemetry }
const quiet = { fallback: 'none', heartbeat: '100ms', runtime }
const follower = leader === undefined ? undefined : await followLog(leader, where, quiet)
const log = follower ? follower.log : await openLog(where)

createServer(nodeListener(followersOverHttp(log))).listen(Number(port), '127.0.0.1', () =>
  process.send({ ready: true }),
)
let writing = false
let written = Promise.resolve()

/** Appends commits of two streams, one after the other, and tells of each that was acknowledged. */
async function write() {
  for (let number = 0; writing; number++) {
    const streams = [`order-${number % 5}`, 'stock-1'].map((stream) => ({
      stream,
      events: [
        { type: 'Written', data: { number, by: process.pid } },
        { type: 'Counted', tags: ['all'] },
      ],
    }))
    try {
      const { id, position } = await log.append({ streams })
      process.send({ acknowledged: { id, position } })
    } catch (error) {
      process.send({ refused: error.code })
      return
    }
    // The leader is not to be faster than what the test looks at.
    if (number % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

async function commitsAt(position) {
  const fresh = await follower.fresh({ after: position, wait: '1s' })
  for await (const event of fresh.read({}, { to: position, backwards: true, limit: 1 })) return event.commit
}

const does = {
  write: async () => {
    writing = true
    written = write()
  },
  pause: async () => {
    writing = false
    await written
  },
  read: async ({ position }) => commitsAt(position),
  status: async () => follower?.status() ?? { position: await log.head() },
  promote: async (options) => promoteFollower(follower, options),
  fence: async ({ at }) => fenceLeader(leaderAt(at), log),
}
process.on('message', ({ call, what, given }) => {
  does[what](given)
    .then(
      (result) => process.send({ call, result: result ?? null }),
      (error) => process.send({ call, code: error.code ?? 'none', message: error.message }),
    )
    .catch(() => undefined)
})
process.on('disconnect', () => process.exit())
