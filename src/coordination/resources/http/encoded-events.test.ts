import { expect, it } from 'vitest'
import { EncodedEvents } from './encoded-events.js'

const object = (name: string) => ({ metadata: { name } })

it('an event is encoded once for all who are told of it', () => {
  const events = new EncodedEvents()
  const [a, b] = [object('a'), object('b')]
  const line = events.line('ADDED', a)
  expect(line.toString()).toBe('{"type":"ADDED","object":{"metadata":{"name":"a"}}}\n')
  expect(events.line('ADDED', b)).not.toBe(line)
  expect(events.line('ADDED', a)).toBe(line)
  expect(events.line('MODIFIED', a).toString()).toContain('"MODIFIED"')
})

it('only those of the last events are kept', () => {
  const events = new EncodedEvents()
  const first = object('first')
  const line = events.line('ADDED', first)
  for (let count = 0; count < 1023; count++) events.line('ADDED', object(`${count}`))
  expect(events.line('ADDED', first)).toBe(line)
  events.line('ADDED', object('one more'))
  expect(events.line('ADDED', first)).not.toBe(line)
})

it('large ones are not kept beyond what they may take together', () => {
  const events = new EncodedEvents()
  const first = object('first')
  const line = events.line('ADDED', first)
  for (let count = 0; count < 20; count++) events.line('ADDED', object('x'.repeat(1024 * 1024)))
  expect(events.line('ADDED', first)).not.toBe(line)
})
