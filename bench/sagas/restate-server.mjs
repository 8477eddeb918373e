// @ts-check
/** The server of Restate as npm brings it, with its defaults: what it has said to keep is on the disk. */
import { spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../../scripts/engines.mjs'

const TRIES = 300
const BETWEEN_MS = 100

/**
 * @param {string} directory
 * @returns {Promise<{ where: string, pid: number, stop: () => Promise<void> }>}
 */
export async function startRestate(directory) {
  const program = join(
    import.meta.dirname,
    `../node_modules/@restatedev/restate-server-${process.platform}-${process.arch}/bin/restate-server`,
  )
  const [node, admin, ingress] = [await freePort(), await freePort(), await freePort()]
  const output = `${directory}.log`
  const file = openSync(output, 'w')
  const child = spawn(
    program,
    [
      ...['--base-dir', directory, '--listen-mode', 'tcp', '--no-logo'],
      ...['--bind-ip', '127.0.0.1', '--bind-port', `${node}`],
    ],
    {
      stdio: ['ignore', file, file],
      env: {
        ...process.env,
        RESTATE_ADMIN__BIND_ADDRESS: `127.0.0.1:${admin}`,
        RESTATE_INGRESS__BIND_ADDRESS: `127.0.0.1:${ingress}`,
        RESTATE_DISABLE_TELEMETRY: 'true',
        RESTATE_LOG_FILTER: 'error',
      },
    },
  )
  closeSync(file)
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  const exited = new Promise((resolve) => child.once('exit', () => resolve(undefined)))
  for (let tries = 0; !(await isHealthy(`http://127.0.0.1:${admin}/health`)); tries++) {
    if (child.exitCode !== null || tries >= TRIES) {
      kill()
      throw new Error(`Restate did not start:\n${existsSync(output) ? readFileSync(output, 'utf8') : ''}`)
    }
    await new Promise((resolve) => setTimeout(resolve, BETWEEN_MS))
  }
  return {
    where: JSON.stringify({ admin: `http://127.0.0.1:${admin}`, ingress: `http://127.0.0.1:${ingress}` }),
    pid: child.pid ?? 0,
    async stop() {
      kill()
      process.off('exit', kill)
      await exited
    },
  }
}

async function isHealthy(/** @type {string} */ url) {
  try {
    return (await fetch(url)).ok
  } catch {
    return false
  }
}
