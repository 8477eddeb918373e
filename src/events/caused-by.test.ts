import { describe, expect, it } from 'vitest'
import { causedBy } from './caused-by.js'

describe('causedBy', () => {
  it('begins a correlation with an event that has none', () => {
    expect(causedBy({ id: 'e1', metadata: {} })).toEqual({ correlationId: 'e1', causationId: 'e1' })
  })

  it('hands correlation, trace and actor on, but no names of the application', () => {
    const metadata = {
      correlationId: 'c',
      causationId: 'old',
      traceparent: 't',
      actor: 'ada',
      note: 'private',
    }
    expect(causedBy({ id: 'e2', metadata }, { actor: 'robot' })).toEqual({
      correlationId: 'c',
      causationId: 'e2',
      traceparent: 't',
      actor: 'robot',
    })
  })
})
