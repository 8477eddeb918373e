import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe } from 'vitest'
import { openCoordinator } from '../../../src/coordination/index.js'
import { runResourcesSuite } from './suite.js'

describe('resources in memory', () => {
  runResourcesSuite(() => openCoordinator('memory:'))
})

describe('resources in a SQLite file', () => {
  let directory: string
  let files = 0
  beforeAll(() => void (directory = mkdtempSync(join(tmpdir(), 'banyan-resources-'))))
  afterAll(() => rmSync(directory, { recursive: true }))
  runResourcesSuite(() => openCoordinator(`sqlite:${join(directory, `${++files}`)}`))
})
