import { describe, expect, test } from 'vitest'
import type { HandlerAnswer, HandlerProblem, HandlerRequest } from '../../core/http-handler.js'
import { virtualRuntime } from '../../testing/index.js'
import { eventError, type EventErrorCode } from '../errors.js'
import { openLog, type EventLog } from '../index.js'
import { eventTypes } from '../types/index.js'
import { eventsOverHttp } from './index.js'

interface Asked {
  method?: string
  path?: string
  query?: string
  headers?: Record<string, string>
  body?: string
}

function request({ method = 'GET', path = '', query = '', headers = {}, body = '' }: Asked): HandlerRequest {
  return {
    method,
    base: '/events',
    path,
    query: new URLSearchParams(query),
    fields: Object.entries(headers),
    field: (lower) => headers[lower],
    body: () => Promise.resolve(Buffer.from(body)),
    signal: new AbortController().signal,
    caller: undefined,
    traceparent: undefined,
  }
}

const append = (commit: object): HandlerRequest =>
  request({ method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(commit) })

const event = (stream: string, type = 'A', data: unknown = {}) => ({
  streams: [{ stream, events: [{ type, data }] }],
})

async function problemOf(answer: ReturnType<ReturnType<typeof eventsOverHttp>>): Promise<HandlerProblem> {
  const given = await answer
  if (!('problem' in given)) throw new Error(`answered with ${given.status}`)
  return given.problem
}

/** A log that fails with an error of that code. */
function failing(log: EventLog, code: EventErrorCode): EventLog {
  const fail = () => Promise.reject(eventError(code, `the file /secret/events.db is in trouble`))
  return new Proxy(log, {
    get: (target, name): unknown => (name === 'append' || name === 'head' ? fail : Reflect.get(target, name)),
  })
}

describe('a log in trouble', () => {
  test.each<[EventErrorCode, number, string]>([
    ['BANYAN_LOG_FULL', 507, 'log-full'],
    ['BANYAN_LOG_LOCKED', 503, 'log-locked'],
    ['BANYAN_LOG_OVERLOADED', 503, 'log-overloaded'],
    ['BANYAN_LOG_CLOSED', 503, 'log-closed'],
    ['BANYAN_LOG_UNAVAILABLE', 503, 'log-unavailable'],
    ['BANYAN_OUTCOME_UNKNOWN', 503, 'outcome-unknown'],
    ['BANYAN_LOG_CORRUPT', 500, 'log-corrupt'],
  ])(
    '%s is answered with %i, tells clients nothing of the inside, and operators everything',
    async (code, status, kind) => {
      const log = await openLog('memory:')
      const told: string[] = []
      const runtime = virtualRuntime()
      const telemetry = {
        ...runtime.telemetry,
        log: (_level: unknown, message: string) => void told.push(message),
      }
      const handler = eventsOverHttp(failing(log, code), { runtime: { ...runtime, telemetry } })
      for (const each of [append(event('a')), append(event('a')), request({})]) {
        const problem = await problemOf(handler(each))
        expect(problem).toMatchObject({ status, kind })
        expect(problem.detail).not.toContain('secret')
        if (status === 503) expect(problem.retryAfter).toBe(1000)
      }
      // Once, not for each request.
      expect(told).toEqual([expect.stringContaining('/secret/events.db')])
      const forOperators = eventsOverHttp(failing(log, code), { operators: true, runtime })
      expect((await problemOf(forOperators(append(event('a'))))).detail).toContain('/secret/events.db')
      await log.close()
    },
  )

  test('a fault of our own is not made to look like one of the log', async () => {
    const log = await openLog('memory:')
    const broken = new Proxy(log, {
      get: (_target, name) => (name === 'append' ? () => Promise.reject(new TypeError('x')) : undefined),
    })
    await expect(eventsOverHttp(broken)(append(event('a')))).rejects.toThrow(TypeError)
    await log.close()
  })
})

test('types that are not known and data that is not as its schema says are refused with every problem', async () => {
  const types = eventTypes({
    A: { type: 'object', required: ['n', 'm'], properties: { n: { type: 'number' } } },
  })
  const log = await openLog('memory:', { transforms: [types] })
  const handler = eventsOverHttp(log)
  expect(await problemOf(handler(append(event('a', 'B'))))).toMatchObject({
    status: 422,
    kind: 'unknown-event-type',
  })
  const wrong = await problemOf(handler(append(event('a', 'A', { n: 'x' }))))
  expect(wrong).toMatchObject({ status: 422, kind: 'invalid-event' })
  expect(wrong.extensions?.['problems']).toHaveLength(2)
  expect(await handler(append(event('a', 'A', { n: 1, m: 2 })))).toMatchObject({ status: 201 })
  await log.close()
})

test('who follows is told that events may be gone that were not seen', async () => {
  const log = await openLog('memory:')
  const handler = eventsOverHttp(log)
  for (let count = 0; count < 5; count++) await handler(append(event('a')))
  await log.truncate({ stream: 'a', beforeRevision: 3 })
  const answer = (await handler(request({ headers: { accept: 'text/event-stream' } }))) as HandlerAnswer
  let text = ''
  for await (const part of answer.body as AsyncIterable<Buffer>) {
    text += part.toString()
    if (text.includes('caught-up')) break
  }
  expect(text.indexOf('event: truncated')).toBeLessThan(text.indexOf('"banyanrevision":3'))
  expect(text.match(/"banyanrevision":\d/g)).toEqual(['"banyanrevision":3', '"banyanrevision":4'])
  await log.close()
})

test('a comment is sent after each silence, a wait ends with its time: both on the clock that is given', async () => {
  const runtime = virtualRuntime()
  const log = await openLog('memory:', { runtime })
  const handler = eventsOverHttp(log, { heartbeat: '10s', runtime })
  const answer = (await handler(request({ headers: { accept: 'text/event-stream' } }))) as HandlerAnswer
  const parts = (answer.body as AsyncIterable<Buffer>)[Symbol.asyncIterator]()
  const next = async (): Promise<string> => String((await parts.next()).value)
  expect(await next()).toMatch(/^:/)
  expect(await next()).toContain('caught-up')
  for (let beat = 0; beat < 3; beat++) {
    const waiting = next()
    await runtime.clock.advance(9_999)
    await runtime.clock.advance(1)
    expect(await waiting).toBe(':\n\n')
  }
  await parts.return?.()
  const waiting = handler(request({ query: 'wait=20s' }))
  await runtime.clock.advance(19_999)
  let done = false
  void waiting.then(() => (done = true))
  await runtime.clock.advance(0)
  expect(done).toBe(false)
  await runtime.clock.advance(1)
  expect(await waiting).toMatchObject({ status: 200, body: Buffer.from('[]') })
  await log.close()
})
