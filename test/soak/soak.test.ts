import { fork, type ChildProcess } from 'node:child_process'
import { Agent, request } from 'node:http'
import { expect, test } from 'vitest'
import { freePort } from '../../scripts/engines.mjs'
import { seededRandom } from '../../src/core/random.js'
import { Gateway } from '../../src/traffic/gateway/index.js'
import { SEED, times } from '../support/effort.js'

/**
 * Under load, endpoints are killed, slowed, made to fail and restored at random. Whatever happens, a client gets the
 * whole and right answer to its own request, or a problem that says why not, and in time.
 *
 * `BANYAN_TEST_FACTOR=60 npx vitest run test/soak` soaks for ten minutes; `BANYAN_SEED=n` repeats the plan of a run.
 */
const SECONDS = times(10)

const ALLOWED = new Set([502, 503, 504])
const DEADLINE_MS = 1_000

interface Upstream {
  port: number
  child: ChildProcess | undefined
}

const service = new URL('./upstream.mjs', import.meta.url).pathname

function startUpstream(port: number): Promise<ChildProcess> {
  const child = fork(service, { env: { ...process.env, PORT: String(port) } })
  return new Promise((resolve) => child.once('message', () => resolve(child)))
}

test(
  `clients see only allowed outcomes for ${SECONDS} s (seed ${SEED})`,
  { timeout: (SECONDS + 60) * 1_000 },
  async () => {
    const random = seededRandom(SEED)
    const pick = <T>(from: readonly T[]): T => from[Math.floor(random.next() * from.length)]!
    const upstreams: Upstream[] = []
    for (let index = 0; index < 3; index++) {
      const port = await freePort()
      upstreams.push({ port, child: await startUpstream(port) })
    }
    const well: Upstream = { port: await freePort(), child: undefined }
    well.child = await startUpstream(well.port)
    const gateway = await Gateway.open({
      services: {
        s: {
          endpoints: upstreams.map(({ port }) => `http://127.0.0.1:${port}`),
          policy: 'p',
          health: { tcp: true, interval: 200, timeout: 200, healthyAfter: 1, unhealthyAfter: 2 },
          outliers: { consecutiveErrors: 5, interval: 500, baseEjection: 300, maxEjection: 600 },
          slowStart: { over: 300 },
        },
        // Beside all that, one that nothing happens to.
        well: { endpoints: [`http://127.0.0.1:${well.port}`] },
      },
      policies: {
        p: {
          timeout: DEADLINE_MS,
          tryTimeout: 300,
          retry: { attempts: 3, backoff: { base: 5, max: 50 } },
          breaker: { minimumCalls: 10, openFor: 200, openForMax: 200, rampUp: 200, window: { time: '1s' } },
          bulkhead: { concurrency: 100, queue: 100 },
        },
      },
      routes: {
        all: { match: {}, to: 's' },
        well: { match: { path: '/well/*' }, to: 'well', rewrite: { path: '/' } },
      },
    })
    const { port } = await gateway.listen(0)
    const agent = new Agent({ keepAlive: true })
    const outcomes: Record<string, number> = {}
    const wrong: string[] = []

    /** How long the requests took that went to the healthy service, in ms, and what else than 200 came of them. */
    const healthy: number[] = []
    const ask = (id: string, method: string, size: number, service: 's' | 'well' = 's'): Promise<void> =>
      new Promise((resolve) => {
        const body = method === 'GET' ? '' : 'b'.repeat(size)
        const startedAt = performance.now()
        const finish = (outcome: string, problem?: string): void => {
          const took = performance.now() - startedAt
          if (service === 'well') healthy.push(took)
          if (service === 'well' && outcome !== '200') wrong.push(`${id} of the healthy service: ${outcome}`)
          outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
          if (problem) wrong.push(`${method} ${id}: ${problem}`)
          // Room for a busy machine; what is looked for is a hang.
          if (took > DEADLINE_MS + 4_000) wrong.push(`${method} ${id}: took ${Math.round(took)} ms`)
          resolve()
        }
        const outgoing = request(
          {
            port,
            agent,
            method,
            path: `${service === 'well' ? '/well' : ''}/${id}?size=${size}`,
            headers: { 'content-length': body.length },
          },
          (response) => {
            let text = ''
            let cut = false
            response.setEncoding('latin1')
            response.on('data', (data: string) => (text += data))
            response.on('error', () => (cut = true))
            response.on('close', () => {
              const status = response.statusCode!
              if (cut || !response.complete) {
                // An answer that broke off after it had begun can only be cut off.
                finish('cut')
              } else if (status === 200) {
                const right = text === `${id}:${body.length}:${'x'.repeat(size)}`
                finish('200', right ? undefined : `got ${JSON.stringify(text.slice(0, 80))}`)
              } else {
                const isProblem =
                  response.headers['content-type'] === 'application/problem+json' ||
                  text === 'failing on purpose'
                finish(
                  String(status),
                  ALLOWED.has(status) && isProblem ? undefined : `got ${status} ${text.slice(0, 80)}`,
                )
              }
            })
          },
        )
        outgoing.on('error', (error) => finish('broken', error.message))
        outgoing.end(body)
      })

    let running = true
    let sequence = 0
    const clients = Array.from({ length: 16 }, async () => {
      while (running)
        await ask(`id${sequence++}`, pick(['GET', 'GET', 'GET', 'POST', 'PUT']), pick([10, 1_000, 100_000]))
    })

    const calm = Array.from({ length: 2 }, async () => {
      while (running) await ask(`well${sequence++}`, 'GET', 1_000, 'well')
    })

    const until = performance.now() + SECONDS * 1_000
    while (performance.now() < until) {
      const victim = pick(upstreams)
      const mischief = pick(['kill', 'slow', 'fail', 'reset', 'short', 'heal', 'heal'] as const)
      if (mischief === 'kill') {
        victim.child?.kill('SIGKILL')
        victim.child = undefined
      } else if (victim.child) {
        victim.child.send(mischief)
      } else {
        victim.child = await startUpstream(victim.port)
      }
      // The pace of the plan, not a wait for a condition.
      await new Promise((resolve) => setTimeout(resolve, 50 + random.next() * 250))
    }
    running = false
    await Promise.all([...clients, ...calm])

    for (const each of upstreams) {
      each.child?.send('heal')
      each.child ??= await startUpstream(each.port)
    }
    expect(wrong).toEqual([])
    expect(outcomes['200']).toBeGreaterThan(SECONDS * 20)
    // Flat: what ails the other service never holds one of these up for as long as a try of it may take.
    healthy.sort((a, b) => a - b)
    expect(healthy[Math.floor(healthy.length * 0.99)]).toBeLessThan(300)
    agent.destroy()
    await gateway.close(new AbortController().signal)
    const state = gateway.state()
    expect(state.connections).toBe(0)
    expect(state.services['s']!.bulkhead).toMatchObject({ inFlight: 0, queued: 0 })
    for (const endpoint of state.services['s']!.endpoints) {
      expect(endpoint).toMatchObject({ active: 0, connections: { waiting: 0 } })
    }
    for (const { child } of [...upstreams, well]) child?.kill('SIGKILL')
  },
)
