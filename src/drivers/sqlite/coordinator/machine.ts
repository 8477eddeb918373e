import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { coordinationError } from '../../../coordination/errors.js'

/** The machine that shares the file: leases end on its clock, and none outlives its start. */
export interface Machine {
  /** Names this start of it: no other one has the same. */
  readonly boot: string
  /**
   * Milliseconds on a clock that all of its processes read alike, and that never goes back while it runs. It may stand still
   * while the machine is suspended: leases live longer then, which is safe.
   */
  now(): number
}

/**
 * The machine that this process runs on.
 *
 * @throws `BANYAN_COORDINATOR_UNAVAILABLE` where nothing tells one start of it from another
 */
export function thisMachine(): Machine {
  const offset = offsetOfTimeNamespace()
  // CLOCK_MONOTONIC on Linux, mach_continuous_time on macOS: both are of the machine, not of the process.
  return { boot: bootId(), now: () => Number(process.hrtime.bigint()) / 1e6 - offset }
}

function bootId(): string {
  try {
    switch (process.platform) {
      case 'linux':
        return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
      case 'darwin':
        return execFileSync('/usr/sbin/sysctl', ['-n', 'kern.bootsessionuuid'], { encoding: 'latin1' }).trim()
      default:
        throw new Error(`${process.platform} is not known to this driver, only linux and darwin are`)
    }
  } catch (error) {
    throw coordinationError(
      'BANYAN_COORDINATOR_UNAVAILABLE',
      'the sqlite coordinator has to know when the machine was started, as leases end with that: ' +
        (error instanceof Error ? error.message : String(error)),
      error,
    )
  }
}

/** Containers may have clocks that are set off against that of the machine (time_namespaces(7)), by so many ms. */
function offsetOfTimeNamespace(): number {
  if (process.platform !== 'linux') return 0
  try {
    return parseOffset(readFileSync('/proc/self/timens_offsets', 'latin1'))
  } catch {
    // A kernel without them.
    return 0
  }
}

/** The line of the monotonic clock: its name, seconds and nanoseconds. */
export function parseOffset(offsets: string): number {
  const [, seconds = '0', nanoseconds = '0'] = /^monotonic\s+(-?\d+)\s+(-?\d+)/m.exec(offsets) ?? []
  return Number(seconds) * 1000 + Number(nanoseconds) / 1e6
}
