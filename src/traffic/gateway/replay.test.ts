import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Body, type BodySink } from '../http/body.js'
import { Fields } from '../http/fields.js'
import { ReplayableBody } from './replay.js'

/** One try: takes what it is given until it is told to be full. */
class Try implements BodySink {
  text = ''
  full = false
  ended = false
  error: Error | undefined = undefined
  trailers: Fields | undefined = undefined

  write(data: Buffer): boolean {
    this.text += data.toString('latin1')
    return !this.full
  }
  end(trailers: Fields | undefined): void {
    this.ended = true
    this.trailers = trailers
  }
  fail(error: Error): void {
    this.error = error
  }
}

function setUp() {
  const state = { paused: false }
  const source = new Body(undefined, {
    pause: () => (state.paused = true),
    resume: () => (state.paused = false),
  })
  return { state, source, replayable: new ReplayableBody(source) }
}

const step = fc.oneof(
  fc.record({ kind: fc.constant('arrive' as const), size: fc.constantFrom(1, 1_000, 32_768, 65_536) }),
  fc.record({ kind: fc.constant('full' as const), full: fc.boolean() }),
  fc.record({ kind: fc.constant('again' as const), full: fc.boolean() }),
)

test('each try gets all of a small body from its start, and the client is held back while a try is full', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
      const { state, source, replayable } = setUp()
      let sent = ''
      let current = new Try()
      let body = replayable.open()
      body.pipe(current)
      for (const each of steps) {
        if (each.kind === 'arrive' && !state.paused) {
          const data = Buffer.alloc(each.size, String(sent.length % 7))
          sent += data.toString('latin1')
          source.push(data)
        } else if (each.kind === 'full') {
          current.full = each.full
          if (!each.full) body.resume()
        } else if (each.kind === 'again' && replayable.replayable) {
          current = new Try()
          current.full = each.full
          body = replayable.open()
          body.pipe(current)
        }
        expect(replayable.replayable).toBe(sent.length <= 65_536)
        expect(current.text === sent).toBe(true)
        // A try that has just become full notices with the next part.
        if (!current.full) expect(state.paused).toBe(false)
        else if (each.kind === 'arrive') expect(state.paused).toBe(true)
      }
      source.finish(undefined)
      expect(current.ended).toBe(true)
    }),
    { numRuns: 500 },
  )
})

describe('a body that can be sent again', () => {
  test('fails the try that still waits for the rest when another one begins', () => {
    const { source, replayable } = setUp()
    const [first, second] = [new Try(), new Try()]
    replayable.open().pipe(first)
    source.push(Buffer.from('be'))
    replayable.open().pipe(second)
    source.push(Buffer.from('gin'))
    source.finish(undefined)
    expect([first.text, first.error?.message]).toEqual(['be', 'the body went to another try'])
    expect([second.text, second.ended]).toEqual(['begin', true])
  })

  test('is given to a later try with its end, and its failure', () => {
    const { source, replayable } = setUp()
    replayable.open().pipe(new Try())
    source.push(Buffer.from('all'))
    source.finish(Fields.of([['X-Sum', '1']]))
    const again = new Try()
    replayable.open().pipe(again)
    expect([again.text, again.ended, [...again.trailers!]]).toEqual(['all', true, [['X-Sum', '1']]])

    const broken = setUp()
    broken.replayable.open().pipe(new Try())
    broken.source.fail(new Error('gone'))
    expect(broken.replayable.replayable).toBe(false)
  })

  test('that is too large to keep streams on to the try that has it', () => {
    const { source, replayable } = setUp()
    const only = new Try()
    replayable.open().pipe(only)
    for (let part = 0; part < 5; part++) source.push(Buffer.alloc(30_000, 'x'))
    source.finish(undefined)
    expect([only.text.length, only.ended, replayable.replayable]).toEqual([150_000, true, false])
  })
})
