import { execFileSync } from 'node:child_process'

/** Tests of real processes run what users run: the built package. Building is incremental; types are checked elsewhere. */
export default function build(): void {
  const tsc = ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json', '--noCheck']
  try {
    execFileSync(process.execPath, tsc, { stdio: 'inherit' })
  } catch {
    // It has said what it could not read. Tests that need that part fail; the others can still tell something.
  }
}
