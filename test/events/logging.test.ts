import { expect, test } from 'vitest'
import { blockOf } from '../support/example.js'
import { runCode } from '../support/snippet.js'

test('what nobody has wired up is told on stderr, one line each', async () => {
  const { stdout, stderr } = await runCode(`
    import { eventBus, memorySnapshots, openLog, openReadModels, projection, pubSub, repository } from 'banyan/events'

    const log = await openLog('memory:')
    const models = await openReadModels('memory:', log)
    const broken = projection({ name: 'sums', version: 1, on: { Placed: () => { throw new Error('broken\\nprojection') } } })
    const running = models.run(broken, { attempts: 1 })
    const topics = pubSub(log, { defaults: { attempts: 1, drain: 0 } })
    let tell
    const handled = new Promise((resolve) => (tell = resolve))
    await topics.subscribe({ name: 'mailer', topic: 'order' }, () => {
      setTimeout(tell, 50)
      throw new Error('no mail server')
    })
    const bus = eventBus()
    await bus.subscribe({ name: 'counter', topic: 'order' }, () => { throw new Error('no count') })
    const decider = {
      initialState: () => 0,
      decide: () => ({ type: 'Placed' }),
      evolve: () => 1n,
    }
    const snapshots = { store: memorySnapshots(), version: 1, every: 1 }
    const orders = repository(log, decider, { category: 'order', snapshots })
    await orders.handle('17', {}, { id: 'c-1' })
    await orders.handle('17', {}, { id: 'c-2' })
    await bus.publish('order', { id: 'b-1', type: 'Placed' })
    await Promise.all([bus.idle(), handled, running.ended.catch(() => undefined)])
    await topics.close()
    await models.close()
    await log.close()
  `)
  expect(stdout).toBe('')
  const lines = stderr.trimEnd().split('\n')
  for (const line of lines) expect(line).toMatch(/^banyan: (warn|error): /)
  const told = lines.join('\n')
  expect(told).toContain('error: event bus: counter has failed with b-1 of order: Error: no count')
  expect(told).toMatch(/error: subscription mailer: .* of order-17 is a dead letter: .*no mail server/)
  expect(told).toMatch(/error: .*sums.*broken projection/)
  expect(told).toMatch(/warn: no snapshot of order-17 could be kept/)
})

test('the lines go to the logger of the application', async () => {
  const code = blockOf('logging.md', 'ts')
  const { stdout, stderr } = await runCode(code)
  expect(stdout).toBe('')
  expect(stderr).toBe(blockOf('logging.md', 'text'))
})
