// @ts-check
/** Installs the peers if their list has changed since: some are compiled, which takes a minute. */
import { execFileSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'

const directory = import.meta.dirname
// Written last by npm.
const installed = join(directory, 'node_modules/.package-lock.json')
const list = join(directory, 'package-lock.json')
if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(list).mtimeMs)
  execFileSync('npm', ['ci', '--silent'], { cwd: directory, stdio: 'inherit' })
