import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const COORDINATION = new URL('../../dist/coordination/index.js', import.meta.url).pathname

/** A module of a user: the kind `Note`, and a controller that says how long each is. */
export function notesModule(change: (code: string) => string = (code) => code): string {
  const file = join(mkdtempSync(join(tmpdir(), 'banyan-notes-')), 'notes.mjs')
  writeFileSync(file, change(CODE))
  return file
}

const CODE = `
import { defineController, defineResource } from '${COORDINATION}'

export const Note = defineResource({
  group: 'notes.example',
  kind: 'Note',
  shortNames: ['nt'],
  categories: ['all'],
  spec: {
    type: 'object',
    required: ['text'],
    properties: {
      text: { type: 'string', maxLength: 20, description: 'What it says.' },
      stars: { type: 'integer', minimum: 0, default: 1 },
    },
  },
  status: {
    type: 'object',
    properties: {
      length: { type: 'integer' },
      observedGeneration: { type: 'integer' },
      conditions: { type: 'array', items: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
    },
  },
})

export const measuring = defineController({
  resource: Note,
  async reconcile(key, ctx) {
    const note = ctx.get()
    if (!note || !(await ctx.finalizer('notes.example/measure', () => undefined))) return
    if (note.spec.text === 'boom') throw new Error('it went boom')
    ctx.setStatus({ length: note.spec.text.length })
    ctx.setCondition({ type: 'Ready', status: true, reason: 'Measured', message: 'it was measured' })
  },
})
`
