import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Program } from './program.js'

const main = new URL('../../dist/cli/main.js', import.meta.url).pathname

/** A run of the command line as a real process. */
export class Cli extends Program {
  constructor(...args: string[]) {
    super(process.execPath, [main, ...args], { ...process.env, NO_COLOR: '1' })
  }
}

/** Runs a command to its end. */
export function run(
  ...args: string[]
): Promise<{ code: number | NodeJS.Signals | null; stdout: string; stderr: string }> {
  return new Cli(...args).finish()
}

const directory = mkdtempSync(join(tmpdir(), 'banyan-cli-'))
let count = 0

/** Writes a configuration to a file of its own. */
export function configFile(config: unknown): string {
  const file = join(directory, `${count++}.yaml`)
  writeFileSync(file, typeof config === 'string' ? config : JSON.stringify(config))
  return file
}
