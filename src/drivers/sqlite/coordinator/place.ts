import { statfsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { coordinationError } from '../../../coordination/errors.js'

const FILE = 'coordination.db'

/** The file that a path means. */
export function fileOf(path: string): string {
  return path.endsWith('.db') ? path : join(path, FILE)
}

/** What tells a file from its copies: these have another inode, or were born at another time. */
export function identityOf(file: string): string {
  const { ino, birthtimeNs } = statSync(file, { bigint: true })
  return `${ino}-${birthtimeNs}`
}

/** Says whether a name still means the file that it meant when this was made. */
export class Place {
  readonly #file: string
  readonly #inode: number
  readonly #device: number

  constructor(file: string) {
    this.#file = file
    const { ino, dev } = statSync(file)
    this.#inode = ino
    this.#device = dev
  }

  /** Whoever works on a file that was removed or replaced is alone with it: others make, or have, another one. */
  get holds(): boolean {
    try {
      const { ino, dev } = statSync(this.#file)
      return ino === this.#inode && dev === this.#device
    } catch {
      return false
    }
  }
}

/** File systems of networks by their numbers in statfs(2): what shared memory and locks on them hold, only one machine sees. */
const NETWORKS = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x0102_1997, '9P'],
  [0x00c3_6400, 'Ceph'],
  [0x5346_414f, 'AFS'],
  [0x6b41_4653, 'AFS'],
  [0x7375_7245, 'Coda'],
  [0x0bd0_0bd0, 'Lustre'],
  [0x7461_636f, 'OCFS2'],
  [0x0116_1970, 'GFS2'],
])

/** The name of a file system of a network; undefined for any other. */
export function networkOf(type: number): string | undefined {
  // 32 bits, which some machines give with a sign.
  return NETWORKS.get(type >>> 0)
}

/** @throws `BANYAN_COORDINATOR_UNAVAILABLE` if a file is not on a disk of this machine */
export function checkLocal(file: string): void {
  // The numbers are those of Linux.
  if (process.platform !== 'linux') return
  const network = networkOf(statfsSync(dirname(file)).type)
  if (network === undefined) return
  throw coordinationError(
    'BANYAN_COORDINATOR_UNAVAILABLE',
    `${file} is on ${network}, where processes of two machines would not see the locks of each other. ` +
      'Name a path on a local disk, or use another driver',
  )
}
