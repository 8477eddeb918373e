import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A small disk of one's own. */
export class SmallDisk implements Disposable {
  readonly path: string

  /** @param size - as `mount` takes it, such as `4m` */
  constructor(size: string) {
    this.path = mkdtempSync(join(tmpdir(), 'banyan-disk-'))
    root('mount', '-t', 'tmpfs', '-o', `size=${size},mode=777`, 'tmpfs', this.path)
  }

  resize(size: string): void {
    root('mount', '-o', `remount,size=${size}`, this.path)
  }

  [Symbol.dispose](): void {
    // Lazily: a process that was killed may not be gone yet.
    root('umount', '-l', this.path)
    rmSync(this.path, { recursive: true })
  }
}

/** Whether file systems cannot be mounted here. Says so loudly; where `CI` is set, it fails instead. */
export function smallDiskMissing(): boolean {
  try {
    new SmallDisk('1m')[Symbol.dispose]()
    return false
  } catch (error) {
    if (process.env['CI']) throw error
    process.stderr.write('\n*** TESTS ON A SMALL DISK ARE SKIPPED: they need Linux and root, or sudo ***\n')
    return true
  }
}

function root(...command: string[]): void {
  const [program = '', ...args] = [...(process.getuid?.() === 0 ? [] : ['sudo', '-n']), ...command]
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
}
