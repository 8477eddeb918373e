// @ts-check
/**
 * Runs sagas whose steps call a service, until it is told to end. It prints a line for every call.
 *
 * Its argument is JSON: `place` of the log, and `service`, the URL of the service.
 */
import { answered, openLog, runSagas, saga } from 'banyan/events'

const { place, service } = JSON.parse(process.argv[2] ?? '{}')
process.stdin.on('end', () => process.exit(1)).resume()

/**
 * @param {string} what
 * @param {string} kind
 * @returns {(context: { idempotencyKey: string, signal: AbortSignal }) => Promise<string>}
 */
const call =
  (what, kind) =>
  async ({ idempotencyKey, signal }) => {
    process.stdout.write(`${idempotencyKey}\n`)
    const url = `${service}/${what}?kind=${kind}`
    const headers = { 'idempotency-key': idempotencyKey }
    const response = await answered(await fetch(url, { method: 'POST', headers, signal }))
    return response.text()
  }

const order = saga({
  name: 'order',
  timeout: '5s',
  attempts: 50,
  backoff: { base: '20ms', max: '500ms' },
  async run(/** @type {{ kind: string }} */ { kind }, { step, sleep }) {
    const reserved = await step('reserve', {
      run: call('reserve', 'good'),
      compensate: call('release', 'good'),
    })
    if (kind === 'sleepy') await sleep(300)
    const [charged] = await Promise.all([
      step('charge', { run: call('charge', kind), compensate: call('refund', 'good') }),
      step('notify', { run: call('notify', 'good'), compensate: call('recall', 'good') }),
    ])
    const shipped = await step('ship', { run: call('ship', 'good'), compensate: call('return', 'good') })
    return [reserved, charged, shipped]
  },
})

const options = { definitions: [order], concurrency: 200, partitions: 6, takeover: 400, drain: 300 }

/** @returns {Promise<[import('banyan/events').EventLog, import('banyan/events').SagaRunner]>} */
async function begun() {
  for (;;) {
    let log
    try {
      log = await openLog(place)
      return [log, await runSagas(log, options)]
    } catch (error) {
      await log?.close()
      // The server may be away for a moment.
      if (/** @type {{ code?: string }} */ (error).code !== 'BANYAN_LOG_UNAVAILABLE') throw error
    }
  }
}
const [log, runner] = await begun()
process.stdout.write('ready\n')
process.once('SIGTERM', async () => {
  await runner.close()
  await log.close()
  process.exit(0)
})
runner.ended.catch((error) => {
  process.stderr.write(`${error.stack}\n`)
  process.exit(2)
})
