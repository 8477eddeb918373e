import { execFileSync } from 'node:child_process'

/** Tests of real processes run what users run: the built package. Building is incremental. */
export default function build(): void {
  execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'], {
    stdio: 'inherit',
  })
}
