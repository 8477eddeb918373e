import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { systemClock } from '../../core/clock.js'
import { SideFile, type SideFileKind } from './side-file.js'

const root = mkdtempSync(join(tmpdir(), 'banyan-side-file-'))
afterEach(() => rmSync(root, { recursive: true, force: true }))

const KIND: SideFileKind = {
  holds: 'things',
  name: 'things.db',
  applicationId: 0x74657374,
  format: 1,
  schema: 'CREATE TABLE things (name TEXT) STRICT',
  remedy: 'Throw it away',
}

/** The locks of this process on a file, as the system has them. */
function locksOn(file: string): string[] {
  const { ino } = statSync(file)
  return readFileSync('/proc/locks', 'utf8')
    .split('\n')
    .filter((line) => line.includes(` ${process.pid} `) && line.includes(`:${ino} `))
}

test.skipIf(process.platform !== 'linux')(
  'opening a file again leaves the locks alone that this process has on it',
  async () => {
    const context = { clock: systemClock }
    const first = await SideFile.open(root, KIND, context)
    expect(locksOn(first.file)).toHaveLength(1)
    const second = await SideFile.open(root, KIND, context)
    expect(locksOn(first.file)).toHaveLength(1)
    expect(statSync(first.file).mode & 0o777).toBe(0o600)
    first.close()
    second.close()
  },
)
