import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Body, type BodySink } from './body.js'
import { Fields } from './fields.js'

/** A sink that can be made narrow: then one part fills it. */
class Glass implements BodySink {
  text = ''
  ends: (Fields | undefined)[] = []
  errors: Error[] = []
  full = false
  narrow = false

  write(data: Buffer): boolean {
    this.text += data.toString('latin1')
    if (this.narrow) this.full = true
    return !this.full
  }
  end(trailers: Fields | undefined): void {
    this.ends.push(trailers)
  }
  fail(error: Error): void {
    this.errors.push(error)
  }
}

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('arrive' as const), size: fc.nat(50_000) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('narrow' as const), narrow: fc.boolean() }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'drain' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'pipe' as const }) },
)

test('every byte passes once and in order, no faster than the sink takes it, and never gets stuck', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), fc.boolean(), (steps, breaks) => {
      const state = { paused: false, piped: false }
      const body = new Body(undefined, {
        pause: () => (state.paused = true),
        resume: () => (state.paused = false),
      })
      const glass = new Glass()
      let sent = ''
      const pipe = (): void => {
        state.piped = true
        body.pipe(glass)
      }
      for (const each of steps) {
        if (each.kind === 'arrive' && !state.paused) {
          const data = Buffer.alloc(each.size, String(sent.length % 10))
          sent += data.toString('latin1')
          body.push(data)
        } else if (each.kind === 'narrow') {
          glass.narrow = each.narrow
        } else if (each.kind === 'drain') {
          glass.full = false
          if (state.piped) body.resume()
        } else if (each.kind === 'pipe' && !state.piped) {
          pipe()
        }
        if (state.piped) {
          expect(glass.text === sent).toBe(true)
          expect(state.paused).toBe(glass.full)
        } else {
          expect(state.paused).toBe(body.heldBytes >= 65_536)
          expect(body.heldBytes).toBe(sent.length)
        }
      }
      if (!state.piped) pipe()
      const error = new Error('broken')
      const trailers = Fields.of([['X-Sum', '1']])
      if (breaks) body.fail(error)
      else body.finish(trailers)
      // Whatever comes after the end changes nothing.
      body.finish(undefined)
      body.fail(new Error('late'))
      expect(glass.text === sent).toBe(true)
      expect([glass.ends, glass.errors]).toEqual(breaks ? [[], [error]] : [[trailers], []])
      expect([body.ended, body.error]).toEqual([!breaks, breaks ? error : undefined])
    }),
    { numRuns: 500 },
  )
})

describe('a body', () => {
  test('that is over before anybody wants it is given in full, with its trailers', () => {
    const body = new Body(undefined, undefined)
    body.push(Buffer.from('all '))
    body.push(Buffer.from('of it'))
    const trailers = Fields.of([['X-Sum', '1']])
    body.finish(trailers)
    const glass = new Glass()
    body.pipe(glass)
    expect([glass.text, glass.ends]).toEqual(['all of it', [trailers]])
  })

  test('that broke off before anybody wanted it tells what there was, and that it broke off', () => {
    const body = new Body(undefined, undefined)
    body.push(Buffer.from('half'))
    body.fail(new Error('broken'))
    const glass = new Glass()
    body.pipe(glass)
    expect([glass.text, glass.errors.map(({ message }) => message), glass.ends]).toEqual([
      'half',
      ['broken'],
      [],
    ])
  })

  test('nobody wants is read to its end and dropped', () => {
    let paused = false
    const body = new Body(undefined, { pause: () => (paused = true), resume: () => (paused = false) })
    body.push(Buffer.alloc(70_000))
    expect(paused).toBe(true)
    body.discard()
    body.push(Buffer.alloc(70_000))
    expect([paused, body.heldBytes]).toEqual([false, 0])
  })

  test('tells everybody who asked that it is over, once, and at once if it already is', () => {
    const seen: string[] = []
    const body = new Body(undefined, undefined)
    body.onSettled(() => seen.push('first'))
    body.onSettled(() => seen.push('second'))
    expect(seen).toEqual([])
    body.finish(undefined)
    body.finish(undefined)
    body.onSettled(() => seen.push('late'))
    expect(seen).toEqual(['first', 'second', 'late'])
  })

  test('that is whole can be taken as one piece', () => {
    expect(Body.of(Buffer.from('whole')).take().toString()).toBe('whole')
    const body = new Body(undefined, undefined)
    for (const part of ['in ', 'three ', 'parts']) body.push(Buffer.from(part))
    body.finish(undefined)
    expect(body.take().toString()).toBe('in three parts')
    expect(Body.of(Buffer.alloc(0)).take()).toHaveLength(0)
  })
})
