import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'

const SOURCE = join(import.meta.dirname, 'disk.c')
const BUILT = join(import.meta.dirname, '../../../.cache/disk')

/** What the disk in `disk.c` does; see there. */
export interface DiskFaults {
  /** Part of the paths of the files that it is for. */
  files: string
  syncMs?: number
  /** Which sync fails, from 1. */
  syncFails?: number
  /** While this file exists, there is no space. */
  full?: string
  /** In which change of a file the process is killed, from 1. */
  killAt?: number
  /** Only such changes count: `sync events.db`. */
  killIn?: string
  /** Where it says in what. */
  killed?: string
  /** Where it records what it is told. */
  trace?: string
}

let library: string | undefined

/** Whether no disk with faults can be made here. Says so loudly; where `CI` is set, it fails instead. */
export function faultyDiskMissing(): boolean {
  try {
    library = build()
    return false
  } catch (error) {
    if (process.env['CI']) throw error
    process.stderr.write(
      '\n*** TESTS WITH A FAULTY DISK ARE SKIPPED: they need Linux with glibc, and gcc ***\n',
    )
    return true
  }
}

/** The environment of a process that has this disk. */
export function faultyDisk(faults: DiskFaults): Record<string, string> {
  const { files, syncMs, syncFails, full, killAt, killIn, killed, trace } = faults
  const entries = {
    BANYAN_DISK: files,
    BANYAN_DISK_SYNC_MS: syncMs,
    BANYAN_DISK_SYNC_FAILS: syncFails,
    BANYAN_DISK_FULL: full,
    BANYAN_DISK_KILL_AT: killAt,
    BANYAN_DISK_KILL_IN: killIn,
    BANYAN_DISK_KILLED: killed,
    BANYAN_DISK_TRACE: trace,
  }
  const given = Object.entries(entries).filter(([, value]) => value !== undefined)
  return {
    LD_PRELOAD: (library ??= build()),
    ...Object.fromEntries(given.map(([name, value]) => [name, String(value)])),
  }
}

function build(): string {
  if (process.platform !== 'linux') throw new Error('LD_PRELOAD is needed')
  const hash = createHash('sha256').update(readFileSync(SOURCE)).digest('hex').slice(0, 16)
  const built = join(BUILT, `${hash}.so`)
  if (existsSync(built)) return built
  mkdirSync(BUILT, { recursive: true })
  // Tests run side by side: what another is still writing must not be loaded.
  const fresh = `${built}.${process.pid}`
  execFileSync('gcc', [
    '-Wall',
    '-Werror',
    '-O1',
    '-shared',
    '-fPIC',
    '-o',
    fresh,
    SOURCE,
    '-ldl',
    '-lpthread',
  ])
  renameSync(fresh, built)
  return built
}
