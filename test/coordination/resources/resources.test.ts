import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe } from 'vitest'
import { openCoordinator } from '../../../src/coordination/index.js'
import { runPatchSuite } from './patch-suite.js'
import { runResourcesSuite } from './suite.js'

describe('resources in memory', () => {
  runResourcesSuite(() => openCoordinator('memory:'))
  runPatchSuite(() => openCoordinator('memory:'))
})

describe('resources in a SQLite file', () => {
  let directory: string
  let files = 0
  beforeAll(() => void (directory = mkdtempSync(join(tmpdir(), 'banyan-resources-'))))
  afterAll(() => rmSync(directory, { recursive: true }))
  const open = () => openCoordinator(`sqlite:${join(directory, `${++files}`)}`)
  runResourcesSuite(open)
  runPatchSuite(open)
})
