import { expect, test } from 'vitest'
import { surviveFaults } from './faults.js'

test('a fault that nothing has caught is logged with its place, and ends nothing', async () => {
  const lines: string[] = []
  const others = (['uncaughtException', 'unhandledRejection'] as const).map((event) => {
    const known = process.listeners(event as 'uncaughtException')
    process.removeAllListeners(event)
    return { event, known }
  })
  const noted = new Promise<void>((resolve) => {
    const restore = surviveFaults((level, message, attributes) => {
      lines.push(`${level} ${message} ${String(attributes?.['exception.message'])}`)
      if (lines.length < 2) return
      restore()
      resolve()
    })
  })
  setImmediate(() => {
    throw new Error('thrown')
  })
  void Promise.reject(new Error('rejected'))
  await noted
  for (const { event, known } of others) for (const each of known) process.on(event, each)
  expect(lines.sort()).toEqual([
    expect.stringMatching(/^error a fault inside the node.* Error: rejected\n +at [^]*faults\.test\.ts/),
    expect.stringMatching(/^error a fault inside the node.* Error: thrown\n +at [^]*faults\.test\.ts/),
  ])
})
